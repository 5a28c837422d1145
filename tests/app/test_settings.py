"""Settings: where a value comes from, and what stops the start."""

from __future__ import annotations

import base64
import re
from ipaddress import IPv4Network
from pathlib import Path

import pytest

from app.settings.fields import Settings, TranscriberSettings, is_loopback, load, load_transcriber
from app.settings.report import SettingsRefused, variables

ROOT = Path(__file__).resolve().parents[2]
TOKEN = "a-token-that-is-long-enough"


@pytest.fixture(autouse=True)
def empty_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in {**variables(Settings), **variables(TranscriberSettings)}:
        monkeypatch.delenv(name, raising=False)


def refusal(flags: dict[str, str] | None = None, env_file: Path | None = None) -> list[str]:
    with pytest.raises(SettingsRefused) as refused:
        load(flags or {}, env_file)
    return refused.value.problems


@pytest.mark.parametrize(
    ("value", "meant"),
    [
        ("SG161222/RealVisXL_V5.0", "SG161222/RealVisXL_V5.0"),
        ("models/sketch", str(ROOT / "models" / "sketch")),
    ],
)
def test_an_image_model_is_a_hub_id_unless_there_is_such_a_path(value: str, meant: str) -> None:
    assert load({"image_model": value}).image_model == meant


def test_defaults_keep_to_this_machine_and_to_the_project_folder() -> None:
    settings = load({})
    assert (settings.host, settings.port) == ("127.0.0.1", 7860)
    assert (settings.image_model, settings.speech) == ("auto", "auto")
    assert settings.data_dir == ROOT / "data"
    assert settings.models_dir == ROOT / "data" / "models"
    assert settings.trusted_hosts == ("localhost", "127.0.0.1", "[::1]")
    assert settings.tokens == frozenset()
    assert settings.speech_workers in (1, 2)


def test_a_flag_wins_over_the_environment_which_wins_over_the_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    env_file = tmp_path / ".env"
    env_file.write_text('STUDIO_PORT=1001  # a comment\nSTUDIO_MAX_QUEUE="5"\nSTUDIO_DRAIN_SECONDS=\nOTHER=ignored\n')
    assert load({}, env_file).port == 1001
    monkeypatch.setenv("STUDIO_PORT", "1002")
    assert load({}, env_file).port == 1002
    settings = load({"port": "1003"}, env_file)
    assert (settings.port, settings.max_queue, settings.drain_seconds) == (1003, 5, 120)


def test_relative_paths_start_at_the_project_not_where_the_shell_is(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("STUDIO_DATA_DIR", "elsewhere")
    assert load({}).data_dir == ROOT / "elsewhere"


def test_own_presets_are_found_in_the_data_folder(tmp_path: Path) -> None:
    assert load({"data_dir": str(tmp_path)}).presets_dir is None
    (tmp_path / "presets").mkdir()
    assert load({"data_dir": str(tmp_path)}).presets_dir == tmp_path / "presets"


@pytest.mark.parametrize("name", ["STUDIO_VOSK_MODEL", "MODEL_PATH"])
def test_the_vosk_model_has_two_names(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str) -> None:
    monkeypatch.setenv(name, str(tmp_path))
    assert load({}).vosk_model == tmp_path
    assert load_transcriber({}).vosk_model == tmp_path


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("STUDIO_PORT", "abc", "STUDIO_PORT=abc: must be a whole number from 1 to 65535; e.g. STUDIO_PORT=7860"),
        ("STUDIO_PORT", "65536", "STUDIO_PORT=65536: must be a whole number"),
        ("STUDIO_SPEECH", "voks", "STUDIO_SPEECH=voks: must be auto, vosk or cloud-run; e.g. STUDIO_SPEECH=auto"),
        ("STUDIO_HOST", "not a host", "STUDIO_HOST=not a host: must be an address of this machine"),
        ("STUDIO_IMAGE_MODEL", "/no/model", "STUDIO_IMAGE_MODEL=/no/model: must be auto, sdxl, sketch, the path"),
        ("MODEL_PATH", "/no/model", "MODEL_PATH=/no/model: must be the folder of an unpacked Vosk model"),
        ("STUDIO_PRESETS_DIR", "/no/folder", "STUDIO_PRESETS_DIR=/no/folder: must be a folder that exists"),
        (
            "FIREBASE_PROJECT_ID",
            "My_App",
            "FIREBASE_PROJECT_ID=My_App: must be the id of a Firebase project",
        ),
        (
            "TRANSCRIPTION_SERVICE_URL",
            "ftp://x",
            "TRANSCRIPTION_SERVICE_URL=ftp://x: must be the http or https address",
        ),
        ("STUDIO_ALLOWED_ORIGINS", "*", "STUDIO_ALLOWED_ORIGINS=*: must be web origins"),
        ("STUDIO_ALLOWED_ORIGINS", "https://a.b/path", "STUDIO_ALLOWED_ORIGINS=https://a.b/path: must be web origins"),
        ("STUDIO_ALLOWED_HOSTS", "http://a.b", "STUDIO_ALLOWED_HOSTS=http://a.b: must be host names"),
        ("STUDIO_WEBHOOK_HOSTS", "a.b/path", "STUDIO_WEBHOOK_HOSTS=a.b/path: must be host names that webhooks"),
        ("STUDIO_WEBHOOK_HOSTS", "http://a.b/path", "STUDIO_WEBHOOK_HOSTS=http://a.b/path: must be host names"),
        (
            "STUDIO_PUBLIC_URL",
            "https://a.b/path",
            "STUDIO_PUBLIC_URL=https://a.b/path: must be the http or https address",
        ),
        ("STUDIO_TRUSTED_PROXIES", "10.0.0.1/33", "STUDIO_TRUSTED_PROXIES=10.0.0.1/33: must be addresses or networks"),
        ("STUDIO_TRUSTED_PROXIES", "nginx", "STUDIO_TRUSTED_PROXIES=nginx: must be addresses or networks"),
        ("STUDIO_DAILY_JOBS", "-1", "STUDIO_DAILY_JOBS=-1: must be a whole number from 0 (no limit) to 1000000"),
        ("STUDIO_MAX_QUEUE", "0", "STUDIO_MAX_QUEUE=0: must be a whole number from 1 to 10000"),
        ("STUDIO_MAX_UPLOAD_MB", "1.5", "STUDIO_MAX_UPLOAD_MB=1.5: must be a whole number"),
        ("STUDIO_DRAIN_SECONDS", "-1", "STUDIO_DRAIN_SECONDS=-1: must be a whole number"),
        (
            "STUDIO_JOB_RETENTION_DAYS",
            "x",
            "STUDIO_JOB_RETENTION_DAYS=x: must be a whole number from 0 (keep for ever)",
        ),
    ],
)
def test_an_unusable_value_is_named_with_its_remedy(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, expected: str
) -> None:
    monkeypatch.setenv(name, value)
    (line,) = refusal()
    assert line.startswith(expected)
    assert "e.g." in line


def test_problems_carry_the_name_that_the_user_wrote(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    env_file = tmp_path / ".env"
    env_file.write_text("STUDIO_MAX_QUEUE=many\n")
    monkeypatch.setenv("STUDIO_SPEECH_WORKERS", "none")
    flag, environment, file = sorted(refusal({"port": "http"}, env_file))
    assert flag.startswith("--port http: ")
    assert flag.endswith("e.g. --port 7860")
    assert environment.startswith("STUDIO_MAX_QUEUE=many (in .env): ")
    assert file.startswith("STUDIO_SPEECH_WORKERS=none: ")


def test_what_follows_from_a_wrong_value_is_not_a_second_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STUDIO_DATA_DIR", "x" * 5)
    monkeypatch.setenv("STUDIO_PORT", "abc")
    assert len(refusal()) == 1


def test_a_refused_token_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    for value in ("secret-1", f"{TOKEN},secret-1", f"{TOKEN} secret-1"):
        monkeypatch.setenv("STUDIO_API_TOKENS", value)
        (line,) = refusal()
        assert line.startswith("STUDIO_API_TOKENS: must be tokens of at least 16 characters")
        assert "secret-1" not in line
        assert TOKEN not in line


KEY = base64.b64encode(b"k" * 32).decode()


@pytest.mark.parametrize(
    "secrets", [KEY, "whsec_c2hvcnQ=", f"whsec_{KEY} {KEY}", "whsec_!", " ".join([f"whsec_{KEY}"] * 3)]
)
def test_a_refused_webhook_secret_is_not_shown(monkeypatch: pytest.MonkeyPatch, secrets: str) -> None:
    monkeypatch.setenv("STUDIO_WEBHOOK_SECRET", secrets)
    (line,) = refusal()
    assert line.startswith("STUDIO_WEBHOOK_SECRET: must be whsec_ and the base64 of 24 to 64 random bytes")
    assert KEY not in line


@pytest.mark.parametrize("between", [" ", ",", ", "])
def test_two_webhook_secrets_are_taken_while_one_is_replaced(monkeypatch: pytest.MonkeyPatch, between: str) -> None:
    monkeypatch.setenv("STUDIO_WEBHOOK_SECRET", f"whsec_{KEY}{between}whsec_{KEY}")
    settings = load({})
    assert [secret.get_secret_value() for secret in settings.webhook_secret] == [f"whsec_{KEY}"] * 2
    assert KEY not in repr(settings)


def test_tokens_are_split_and_never_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STUDIO_API_TOKENS", f"{TOKEN}-1, {TOKEN}-2,")
    settings = load({})
    assert settings.tokens == {f"{TOKEN}-1", f"{TOKEN}-2"}
    assert TOKEN not in repr(settings)


@pytest.mark.parametrize("typo", ["STUDIO_PROT", "studio_prot"])
def test_a_mistyped_name_is_refused_with_the_nearest(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, typo: str
) -> None:
    expected = [f"{typo}: there is no such setting. Did you mean 'STUDIO_PORT'?"]
    env_file = tmp_path / ".env"
    env_file.write_text(f"{typo}=7861\n")
    assert refusal({}, env_file) == expected
    monkeypatch.setenv(typo, "7861")
    assert refusal() == expected


def test_an_unreadable_env_file_is_named(tmp_path: Path) -> None:
    env_file = tmp_path / ".env"
    env_file.write_bytes(b"STUDIO_PORT=\xff\xfe\n")
    (line,) = refusal({}, env_file)
    assert line.startswith(f"{env_file} cannot be read")


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "10.0.0.1", "fe80::1", "studio.example.com"])
def test_other_machines_get_in_only_with_a_token(monkeypatch: pytest.MonkeyPatch, host: str) -> None:
    (line,) = refusal({"host": host})
    assert line.startswith(f"STUDIO_HOST={host} (or --host) can be reached by other machines")
    assert "STUDIO_API_TOKENS" in line
    with pytest.raises(ValueError, match="STUDIO_API_TOKENS"):
        Settings(host=host)
    monkeypatch.setenv("STUDIO_API_TOKENS", TOKEN)
    settings = load({"host": host})
    assert (f"[{host}]" if ":" in host else host) in settings.trusted_hosts


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "localhost", "LOCALHOST"])
def test_loopback_needs_no_token(host: str) -> None:
    assert is_loopback(host)
    assert load({"host": host}).host == host


def test_cloud_run_without_its_address_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    (line,) = refusal({"speech": "cloud-run"})
    assert line.startswith("STUDIO_SPEECH=cloud-run needs TRANSCRIPTION_SERVICE_URL")
    monkeypatch.setenv("TRANSCRIPTION_SERVICE_URL", "https://speech.example.com/")
    assert load({"speech": "cloud-run"}).transcription_service_url == "https://speech.example.com"


def test_allowed_hosts_come_on_top_of_this_machines_names(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STUDIO_ALLOWED_HOSTS", "Studio.Example.com, *.internal, localhost")
    assert load({}).trusted_hosts == ("localhost", "127.0.0.1", "[::1]", "studio.example.com", "*.internal")


def test_port_is_the_transcribers_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PORT", "9000")
    monkeypatch.setenv("STUDIO_PORT", "9001")
    assert load({}).port == 9001
    assert load_transcriber({}).port == 9000
    assert load_transcriber({"port": "9002"}).port == 9002
    monkeypatch.setenv("PORT", "http")
    assert load({}).port == 9001
    with pytest.raises(SettingsRefused, match=r"^PORT=http: must be a whole number from 1 to 65535; e\.g\. PORT=8080$"):
        load_transcriber({})


def test_the_transcriber_opens_up_only_where_somebody_guards_it(monkeypatch: pytest.MonkeyPatch) -> None:
    assert load_transcriber({}).host == "127.0.0.1"
    with pytest.raises(SettingsRefused, match=r"^STUDIO_HOST=0\.0\.0\.0 .* STUDIO_API_TOKENS"):
        load_transcriber({"host": "0.0.0.0"})
    monkeypatch.setenv("K_SERVICE", "transcriber")
    assert load_transcriber({}).host == "0.0.0.0"
    monkeypatch.delenv("K_SERVICE")
    monkeypatch.setenv("STUDIO_API_TOKENS", TOKEN)
    assert load_transcriber({}).host == "0.0.0.0"
    assert load_transcriber({"host": "127.0.0.1"}).host == "127.0.0.1"


def test_the_example_file_names_every_variable_and_works(tmp_path: Path) -> None:
    example = (ROOT / ".env.example").read_text()
    named = set(re.findall(r"^# ([A-Z_]+)=", example, re.MULTILINE))
    assert named == {*variables(Settings), *variables(TranscriberSettings)}
    model = tmp_path / "model"
    model.mkdir()
    uncommented = re.sub(r"^# ([A-Z_]+=)", r"\1", example, flags=re.MULTILINE)
    env_file = tmp_path / ".env"
    env_file.write_text(
        re.sub(
            r"(VOSK_MODELS_DIR|MODEL|PRESETS_DIR|PATH)=data/[a-z/-]+$", rf"\1={model}", uncommented, flags=re.MULTILINE
        )
    )
    assert load({}, env_file).model_dump(
        exclude={"vosk_model", "vosk_models_dir", "speaker_model", "presets_dir", "allowed_hosts"}
    ) == Settings(
        transcription_service_url="https://transcriber-abc123-ew.a.run.app",
        firebase_project_id="my-social-app",
        allowed_origins=("https://app.example.com",),
        webhook_hosts=("app.example.com",),
        boxes=("root@203.0.113.7:40022", "root@203.0.113.8:40110"),
        ssh_key=Path("~/.ssh/id_ed25519"),
        speech_workers=2,
        public_url="https://studio.example.com",
        trusted_proxies=(IPv4Network("127.0.0.1/32"),),
    ).model_dump(exclude={"vosk_model", "vosk_models_dir", "speaker_model", "presets_dir", "allowed_hosts"})

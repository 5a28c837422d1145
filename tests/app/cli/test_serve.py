"""What is said at the start."""

from __future__ import annotations

from app.accounts import Accounts
from app.cli.serve import welcome
from app.settings.fields import Settings

ENGINES = ["Images   sketch on cpu (no CUDA GPU here)", "Speech   demo (built in)"]


def test_the_block_tells_page_engines_tunnel_and_how_to_stop() -> None:
    assert welcome(Settings(port=7861), Accounts(), ENGINES).splitlines()[1:] == [
        "  Page     http://localhost:7861   (for programs: http://localhost:7861/docs and http://localhost:7861/?view=api)",
        "  Images   sketch on cpu (no CUDA GPU here)",
        "  Speech   demo (built in)",
        "  Access   this machine only, no token asked",
        "  Tunnel   ssh -N -L 7861:localhost:7861 root@HOST -p PORT   (on your machine; then open http://localhost:7861)",
        "  Stop     Ctrl-C: running work gets up to 120 s to finish; Ctrl-C again stops at once",
    ]


def test_the_block_tells_who_else_gets_in() -> None:
    settings = Settings.model_validate({"host": "0.0.0.0", "api_tokens": "a-token-that-is-long-enough"})
    block = welcome(settings, Accounts(settings.tokens), ENGINES)
    assert "Access   every machine that reaches 0.0.0.0:7860, with a token from STUDIO_API_TOKENS" in block
    assert "a-token" not in block


def test_the_address_in_the_block_is_one_that_opens() -> None:
    settings = Settings.model_validate({"host": "fd00::1", "api_tokens": "a-token-that-is-long-enough"})
    block = welcome(settings, Accounts(settings.tokens), ENGINES)
    assert "Page     http://[fd00::1]:7860 " in block
    assert "Tunnel" not in block

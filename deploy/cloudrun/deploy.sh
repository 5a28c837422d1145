#!/usr/bin/env bash
# Builds the speech service's image and runs it on Cloud Run. Every gcloud command is shown before it is run; the same
# command again brings a new version. docs/cloudrun.md
set -euo pipefail

usage() {
  cat <<'TEXT'
usage: deploy/cloudrun/deploy.sh --project ID [--region europe-west1] [--service carrot-transcriber]
         [--model small-en] [--min 1] [--max 10] [--invoker ACCOUNT@...gserviceaccount.com]
         [--allow-unauthenticated --token-secret NAME] [--dry-run]

  --invoker                who may call it (may be given more than once): the studio's service account
  --model                  as `python3 launch.py models list` shows it
  --min, --max             instances that always run, and the most that ever do
  --allow-unauthenticated  open it to the internet. Callers then show one of the tokens in the secret of Secret
                           Manager that --token-secret names: the value of STUDIO_API_TOKENS
  --dry-run                show the commands and the service's description, and run nothing
TEXT
}

refuse() {
  printf '%s\n' "$1" "Type deploy/cloudrun/deploy.sh --help for what there is." >&2
  exit 2
}

project="" region=europe-west1 service=carrot-transcriber model=small-en min=1 max=10
invokers=() public=no secret="" dry=no
while [ $# -gt 0 ]; do
  case "$1" in
    --help) usage; exit 0 ;;
    --dry-run) dry=yes; shift; continue ;;
    --allow-unauthenticated) public=yes; shift; continue ;;
    --project | --region | --service | --model | --min | --max | --invoker | --token-secret) ;;
    *) refuse "There is no flag $1." ;;
  esac
  [ $# -ge 2 ] && [[ "$2" != --* ]] || refuse "$1 needs a value."
  case "$1" in
    --project) project=$2 ;;
    --region) region=$2 ;;
    --service) service=$2 ;;
    --model) model=$2 ;;
    --min) min=$2 ;;
    --max) max=$2 ;;
    --invoker) invokers+=("$2") ;;
    --token-secret) secret=$2 ;;
  esac
  shift 2
done

must_match() { [[ "$2" =~ ^($3)$ ]] || refuse "$1 $2 cannot be used: it must be $4."; }
[ -n "$project" ] || refuse "--project is missing: the id of your Google Cloud project."
must_match --project "$project" '[a-z][a-z0-9-]{4,28}[a-z0-9]' "a project's id, such as my-social-app"
must_match --region "$region" '[a-z]+-[a-z]+[0-9]+' "a region of Cloud Run, such as europe-west1"
# Its account has the same name, which may have 30 characters at most.
must_match --service "$service" '[a-z][a-z0-9-]{4,28}[a-z0-9]' "6 to 30 lower-case letters, digits and hyphens"
must_match --model "$model" '[a-z0-9][a-z0-9._-]*' "a model's name, such as small-en"
must_match --min "$min" '[0-9]{1,3}' "a whole number from 0 to 999"
must_match --max "$max" '[1-9][0-9]{0,2}' "a whole number from 1 to 999"
[ "$min" -le "$max" ] || refuse "--min $min is more than --max $max."
for invoker in ${invokers[@]+"${invokers[@]}"}; do
  must_match --invoker "$invoker" '[a-z0-9.-]+@[a-z0-9.-]+\.gserviceaccount\.com' "a service account's address"
done
if [ "$public" = yes ]; then
  [ -n "$secret" ] || refuse "--allow-unauthenticated opens the service to everybody, so it needs --token-secret NAME."
  must_match --token-secret "$secret" '[A-Za-z0-9_-]{1,255}' "the name of a secret of Secret Manager"
elif [ -n "$secret" ]; then
  refuse "--token-secret is for --allow-unauthenticated: a private service is called with Google's ID tokens."
fi

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
# A time and no "latest": an older version can be named again.
tag=$(date -u +%Y%m%d-%H%M%S)
image=$region-docker.pkg.dev/$project/carrot-studio/$service:$tag
account=$service@$project.iam.gserviceaccount.com
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

run() {
  printf '+ gcloud'; printf ' %q' "$@"; printf '\n'
  [ "$dry" = yes ] || gcloud "$@"
}

# Whether a look finds something. Without one, in a dry run, all is still to be made.
has() { [ "$dry" = no ] && gcloud "$@" >/dev/null 2>&1; }

if [ "$dry" = no ] && ! command -v gcloud >/dev/null; then
  refuse "gcloud is not installed: https://cloud.google.com/sdk/docs/install"
fi

run services enable run.googleapis.com cloudbuild.googleapis.com artifactregistry.googleapis.com \
  iam.googleapis.com secretmanager.googleapis.com --project="$project"
has artifacts repositories describe carrot-studio --location="$region" --project="$project" ||
  run artifacts repositories create carrot-studio --repository-format=docker --location="$region" --project="$project"
run builds submit "$root" --config="$here/cloudbuild.yaml" --ignore-file=deploy/cloudrun/Dockerfile.dockerignore \
  --substitutions="_IMAGE=$image,_MODEL=$model" --project="$project"

# An account of its own, which may do nothing: the default one may do much in the project.
has iam service-accounts describe "$account" --project="$project" ||
  run iam service-accounts create "$service" --display-name="Carrot Studio speech service" --project="$project"
if [ "$public" = yes ]; then
  run secrets add-iam-policy-binding "$secret" --member="serviceAccount:$account" \
    --role=roles/secretmanager.secretAccessor --project="$project"
fi

# First, so that a service that was open to everybody is at no time open without tokens.
if [ "$public" = no ] && has run services describe "$service" --region="$region" --project="$project"; then
  members=$(gcloud run services get-iam-policy "$service" --region="$region" --project="$project" \
    --flatten='bindings[].members' --format='value(bindings.members)')
  for everybody in allUsers allAuthenticatedUsers; do
    if grep -qx "$everybody" <<<"$members"; then
      run run services remove-iam-policy-binding "$service" --member="$everybody" --role=roles/run.invoker \
        --region="$region" --project="$project"
    fi
  done
fi

tokens=""
if [ "$public" = yes ]; then
  tokens="- {name: STUDIO_API_TOKENS, valueFrom: {secretKeyRef: {name: $secret, key: latest}}}"
fi
description=$work/service.yaml
sed -e "s|\${SERVICE}|$service|" -e "s|\${MIN}|$min|" -e "s|\${MAX}|$max|" -e "s|\${IMAGE}|$image|" \
  -e "s|\${SERVICE_ACCOUNT}|$account|" -e "s|# \${TOKENS}|$tokens|" "$here/service.yaml" >"$description"
if [ "$dry" = yes ]; then
  cat "$description"
fi
run run services replace "$description" --region="$region" --project="$project"

for invoker in ${invokers[@]+"${invokers[@]}"}; do
  run run services add-iam-policy-binding "$service" --member="serviceAccount:$invoker" --role=roles/run.invoker \
    --region="$region" --project="$project"
done
if [ "$public" = yes ]; then
  run run services add-iam-policy-binding "$service" --member=allUsers --role=roles/run.invoker \
    --region="$region" --project="$project"
fi
printf 'Set on the studio: TRANSCRIPTION_SERVICE_URL='
if [ "$dry" = yes ]; then
  printf '(the address that Cloud Run gives it)\n'
else
  gcloud run services describe "$service" --region="$region" --project="$project" --format='value(status.url)'
fi

#!/bin/sh
# What has to be true before LocalStack starts. docker-compose.yml runs this once.
set -eu

# 4.14.0 is the last release that starts without an account; those after it count years, as in 2026.8.2.
case "$LOCALSTACK_TAG" in
[0-9] | [0-9].*) ;;
*)
  if [ -z "$LOCALSTACK_AUTH_TOKEN" ]; then
    echo "The image localstack/localstack:$LOCALSTACK_TAG starts only with an account's token, and LOCALSTACK_AUTH_TOKEN is empty." \
      "Set it to yours, or take the last image that needs none: LOCALSTACK_TAG=4.14.0. docs/localstack.md has the terms." >&2
    exit 1
  fi
  ;;
esac

# The images in which LocalStack runs the runtimes that the lessons' templates name.
for runtime in python:3.13 nodejs:22; do
  docker image inspect "public.ecr.aws/lambda/$runtime" >/dev/null 2>&1 || docker pull "public.ecr.aws/lambda/$runtime"
done

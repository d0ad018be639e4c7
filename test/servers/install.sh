#!/bin/sh
# Installs the servers that the storage suites run against, with the ordinary clients of package registries:
#   MinIO              by `go install` (about two minutes)
#   mongo-java-server  by `mvn`; it speaks MongoDB's protocol and stands in where there is no mongod
# into ~/.cache/millrace, where the suites look. What cannot be installed is named and left out; the suites then say
# that they were skipped. Usage: test/servers/install.sh [minio] [mongodb]
set -u
here=$(cd "$(dirname "$0")" && pwd)
cache="${HOME}/.cache/millrace"
wanted="${*:-minio mongodb}"
mkdir -p "$cache/bin"

install_minio() {
  if command -v minio >/dev/null || [ -x "$cache/bin/minio" ]; then echo "minio: there already"; return; fi
  if ! command -v go >/dev/null; then echo "minio: left out, go is not installed"; return; fi
  if GOBIN="$cache/bin" go install github.com/minio/minio@v0.0.0-20260212201848-7aac2a2c5b7c; then echo "minio: installed"
  else echo "minio: left out, go install failed"; fi
}

install_mongodb() {
  if command -v mongod >/dev/null || [ -d "$cache/mongo-java-server" ]; then echo "mongodb: there already"; return; fi
  if ! command -v java >/dev/null || ! command -v mvn >/dev/null; then
    echo "mongodb: left out, java and mvn are not installed"; return
  fi
  # Copied aside first, so that a broken download is not taken for an installation.
  rm -rf "$cache/mongo-java-server.part"
  if mvn -q -B -f "$here/pom.xml" dependency:copy-dependencies \
      -DoutputDirectory="$cache/mongo-java-server.part" \
      && mv "$cache/mongo-java-server.part" "$cache/mongo-java-server"; then echo "mongodb: installed"
  else echo "mongodb: left out, mvn failed"; fi
}

for name in $wanted; do "install_$name"; done

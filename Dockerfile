# nas-syncd in a container. compose.example.yml shows how it is run, docs/docker.md what can go wrong.
#
#   docker build -t nas-syncd .

ARG PYTHON_VERSION=3.13

FROM python:${PYTHON_VERSION}-slim AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_NO_CACHE_DIR=1
RUN python3 -m venv /opt/nas-syncd
WORKDIR /src
# The locked packages first: they change less often than the program.
COPY requirements/runtime.txt requirements/runtime.txt
RUN /opt/nas-syncd/bin/python -m pip install --require-hashes -r requirements/runtime.txt
# .dockerignore lets through what the package is made of, and nothing else.
COPY . .
RUN /opt/nas-syncd/bin/python -m pip install --no-deps --no-build-isolation .

FROM python:${PYTHON_VERSION}-slim
COPY --from=build /opt/nas-syncd /opt/nas-syncd
# Whoever the container runs as may make the state directory in it (compose's `user:` decides).
RUN install -d -m 1777 /var/lib/nas-syncd
ENV PATH=/opt/nas-syncd/bin:$PATH \
    PYTHONUTF8=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    NAS_MOUNT_PATH=/app/nas_backup \
    UPLOAD_DIR=/app/uploads \
    NAS_SYNCD_STATE_DIR=/var/lib/nas-syncd/state \
    NAS_SYNCD_LOG_FORMAT=console
VOLUME /var/lib/nas-syncd
# A number, so that nobody need be added to /etc/passwd for it.
USER 1000:1000
WORKDIR /
# The process is alive and its loop turns. A NAS that is away is no reason to restart anything.
HEALTHCHECK --interval=30s --timeout=10s --start-period=60s --retries=3 \
    CMD ["python", "-m", "nas_syncd.cli.alive"]
STOPSIGNAL SIGTERM
ENTRYPOINT ["nas-syncd"]
CMD ["run"]

# By digest, so that a tag that moves changes nothing here: the index for all platforms of 3.13.15-slim-trixie. To take
# a newer one:
# docker buildx imagetools inspect docker.io/library/python:3.13-slim
ARG BASE_IMAGE=docker.io/library/python:3.13-slim@sha256:7c61056e61ac89e852de05f3dc6fa51a6dd2181797bceed46aa725dd7cb2cd3b

# Builds the wheel. Nothing of this stage is in the image that runs.
FROM ${BASE_IMAGE} AS wheel
WORKDIR /src
COPY requirements-build.txt ./
RUN python3 -m venv /build && /build/bin/pip install --no-cache-dir --require-hashes -r requirements-build.txt
COPY pyproject.toml LICENSE ./
COPY worker worker
RUN /build/bin/pip wheel --no-cache-dir --no-build-isolation --no-deps --wheel-dir /wheel .

# Installs it. The requirements come first: they change less often than the code, and their layer is kept.
FROM ${BASE_IMAGE} AS venv
COPY requirements.txt /
RUN python3 -m venv /opt/worker && /opt/worker/bin/pip install --no-cache-dir --require-hashes -r /requirements.txt
COPY --from=wheel /wheel /wheel
RUN /opt/worker/bin/pip install --no-cache-dir --no-index --no-deps /wheel/*.whl \
    && /opt/worker/bin/pip uninstall --yes pip

# Lists what was installed, by name, version, licence and hash, for whoever asks what is in the image.
FROM venv AS sbom
COPY requirements-tools.txt /
RUN python3 -m venv /sbom && /sbom/bin/pip install --no-cache-dir --require-hashes -r /requirements-tools.txt
RUN /sbom/bin/cyclonedx-py environment --output-reproducible --output-format JSON \
    --output-file /worker.cdx.json /opt/worker/bin/python

FROM ${BASE_IMAGE}
ARG REVISION=""
LABEL org.opencontainers.image.title="Email Security worker" \
      org.opencontainers.image.description="Acts on Cloudflare Email Security by rules in Python, and proves and records every action" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.revision="${REVISION}"
COPY --from=venv /opt/worker /opt/worker
COPY --from=sbom /worker.cdx.json /usr/share/sbom/worker.cdx.json
COPY rules /etc/worker/rules
# The ledger's folder belongs to the one user that runs here; everything else may be read-only.
RUN install --directory --owner=10001 --group=10001 --mode=0700 /data
ENV PATH=/opt/worker/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    WORKER_LISTEN=0.0.0.0:8080 \
    WORKER_RULES=/etc/worker/rules \
    WORKER_STORE_URL=sqlite:////data/worker.db
WORKDIR /data
VOLUME ["/data"]
EXPOSE 8080
USER 10001:10001
HEALTHCHECK --interval=30s --timeout=5s --start-period=30s \
    CMD ["python3", "-c", "import os; from urllib.request import urlopen; urlopen('http://127.0.0.1:' + os.environ['WORKER_LISTEN'].rpartition(':')[2] + '/livez', timeout=4)"]
ENTRYPOINT ["worker"]
CMD ["run"]

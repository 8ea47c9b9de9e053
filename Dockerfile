# bertlab with the versions of constraints.txt, for workers and for the tracking server: docs/cluster.md.
# The index that pip asks is a choice of who builds: PIP_INDEX_URL or PIP_EXTRA_INDEX_URL in .env, or as --build-arg.
FROM python:3.11-slim-bookworm

ARG PIP_INDEX_URL
ARG PIP_EXTRA_INDEX_URL
WORKDIR /src
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY bertlab bertlab
COPY hydra_plugins hydra_plugins
COPY conf conf
COPY sweeps sweeps
RUN pip install --no-cache-dir --constraint constraints.txt '.[hub,server]'

# Volumes that are new take the owner of the folders that they cover.
RUN useradd --create-home bertlab && mkdir -p /lab/outputs /cache /runs && chown -R bertlab /lab /cache /runs
USER bertlab
WORKDIR /lab
ENV BERTLAB_CACHE=/cache
ENTRYPOINT ["bertlab"]

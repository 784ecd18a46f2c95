# The production image: one node of the server and its page. No databases, no compilers, no Node.js, no pip, not root.
# It needs HOLDFAST_DATABASE_URL and HOLDFAST_REDIS_URL (or the same as files: HOLDFAST_DATABASE_URL_FILE=/run/secrets/...).
#
#   docker build -t holdfast .
#   docker run -p 2567:2567 -e HOLDFAST_DATABASE_URL=postgresql://... -e HOLDFAST_REDIS_URL=redis://... holdfast
#   docker run -e HOLDFAST_DATABASE_URL=... -e HOLDFAST_REDIS_URL=... holdfast migrate up

ARG PYTHON=3.13-slim-trixie
ARG NODE=24-trixie-slim

# -- the page ----------------------------------------------------------------------------------------------------------
FROM node:${NODE} AS page
WORKDIR /src
# npm wants to see every workspace that the lock file names.
COPY package.json package-lock.json .npmrc ./
COPY web-client-types/package.json web-client-types/
COPY server/web/package.json server/web/
COPY tests/sdk/package.json tests/sdk/
COPY bench/sdk/package.json bench/sdk/
RUN npm ci --workspace web-client-types --workspace server/web
COPY web-client-types web-client-types
COPY server/web server/web
RUN npm run build --workspace server/web

# -- the packages ------------------------------------------------------------------------------------------------------
FROM python:${PYTHON} AS packages
WORKDIR /src
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore
RUN python -m venv --without-pip /opt/holdfast
COPY requirements-prod.lock ./
RUN pip --python /opt/holdfast install --require-hashes --only-binary :all: -r requirements-prod.lock
# Holdfast itself is built by what the lock file pins, not by whatever is newest today. Its hot path is compiled.
RUN apt-get update && apt-get install --yes --no-install-recommends gcc libc6-dev
COPY requirements-build.lock ./
RUN pip install --require-hashes --only-binary :all: -r requirements-build.lock
COPY pyproject.toml setup.py README.md ./
COPY contracts contracts
COPY holdfast holdfast
COPY server server
COPY --from=page /src/server/web/dist server/web/dist
RUN pip wheel --no-deps --no-build-isolation --wheel-dir /wheels . \
    && pip --python /opt/holdfast install --no-deps /wheels/holdfast-*.whl

# -- the image ---------------------------------------------------------------------------------------------------------
FROM python:${PYTHON}
LABEL org.opencontainers.image.title="Holdfast" \
      org.opencontainers.image.description="An authoritative game-room server: every action is durable before anyone sees it"
RUN useradd --system --uid 10001 --user-group --no-create-home --shell /usr/sbin/nologin holdfast
COPY --from=packages /opt/holdfast /opt/holdfast
ENV PATH=/opt/holdfast/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
USER 10001:10001
EXPOSE 2567
# It drains: what is applied becomes durable, clients are told to come back, all within 5 s.
STOPSIGNAL SIGTERM
# That the process lives; whether its databases do (/readyz) is nothing that a new container would mend.
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s CMD ["python", "-c", \
    "import os, urllib.request as http; http.urlopen(f'http://127.0.0.1:{os.environ.get(\"HOLDFAST_PORT\") or 2567}/healthz', timeout=2)"]
ENTRYPOINT ["holdfast"]
CMD ["serve", "--host", "0.0.0.0"]

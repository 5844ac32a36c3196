# One image for every process of the site; docker-compose.yml says which one a container runs.
FROM python:3.11-slim

ENV PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 STEWARD_HOME=/var/lib/steward PATH=/app/.venv/bin:$PATH
WORKDIR /app
# LightGBM's OpenMP runtime, which its wheel takes from the system.
RUN apt-get update && apt-get install --yes --no-install-recommends libgomp1 && rm -rf /var/lib/apt/lists/*
RUN useradd --system --uid 10001 --home-dir /var/lib/steward steward \
    && install -d -o steward -g steward -m 700 /var/lib/steward

COPY requirements.lock .
RUN python -m venv .venv \
    && .venv/bin/pip install --quiet --no-cache-dir 'uv>=0.8,<1' \
    && .venv/bin/uv pip install --quiet --no-cache --compile-bytecode --python .venv/bin/python \
        --require-hashes -r requirements.lock

COPY . .
RUN python deploy/copy_static.py
USER steward
VOLUME /var/lib/steward
EXPOSE 8007 5000
CMD ["deploy/start", "web"]

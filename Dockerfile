# planner with everything that its commands need. docker build -t planner . ; docker run --rm -v "$PWD:/work" planner optimize scenario.yaml
FROM python:3.13-slim
WORKDIR /src
COPY requirements.lock ./
RUN pip install --no-cache-dir --require-hashes -r requirements.lock
COPY pyproject.toml README.md LICENSE ./
COPY planner planner
COPY catalogs catalogs
COPY scenarios scenarios
RUN pip install --no-cache-dir hatchling && pip install --no-cache-dir --no-deps --no-build-isolation .
WORKDIR /work
ENTRYPOINT ["planner"]

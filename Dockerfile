# The month-end job, from the wheel: docker build -t drf-month-end . && docker run --rm
#   -e MLFLOW_TRACKING_URI=https://mlflow.example -v /data:/data:ro -v drf-work:/work drf-month-end data=panel data.path=/data/panel.parquet
FROM python:3.11-slim AS wheel
WORKDIR /source
COPY . .
RUN pip wheel --no-deps --wheel-dir /wheels .

FROM python:3.11-slim
COPY --from=wheel /wheels /wheels
COPY constraints.txt /wheels/
# A CPU build of PyTorch is enough, and a tenth of the size: --build-arg PIP_INDEX_URL=... if your index would bring another.
ARG PIP_INDEX_URL
RUN pip install --no-cache-dir "$(ls /wheels/*.whl)[server]" -c /wheels/constraints.txt \
    && useradd --create-home drf && mkdir /work && chown drf /work
USER drf
WORKDIR /work
ENTRYPOINT ["drf", "month-end"]

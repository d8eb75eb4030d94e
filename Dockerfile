# audiomask on the CPU, with ffmpeg:
#   docker build -t audiomask .
#   docker run --rm -v "$PWD:/music" audiomask separate song.wav --stem guitar
FROM python:3.12-slim

RUN apt-get update \
    && apt-get install -y --no-install-recommends ffmpeg \
    && rm -rf /var/lib/apt/lists/*

# uv finds the builds of PyTorch for the CPU, a fifth of the size of those for CUDA
COPY . /src
RUN pip install --no-cache-dir uv \
    && uv pip install --system --no-cache --torch-backend cpu -c /src/constraints.txt /src \
    && rm -rf /src

WORKDIR /music
ENTRYPOINT ["audiomask"]
CMD ["--help"]

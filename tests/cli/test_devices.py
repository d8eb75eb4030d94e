"""Devices that are not there, have too little memory or fail: told once, without a hang."""

import pytest
import torch

COMMANDS = ("tokenize", "detokenize", "infill", "separate")


@pytest.fixture
def batch(call, wav, tiny):
    """``batch("tokenize", "--…")``: the command on four files of a folder, with tiny models."""
    for name in "abcd":
        wav(f"in/{name}.wav", channels=2 if name == "b" else 1)
    assert call("tokenize", "in", "-o", "in", "--model", tiny, "-q").status == 0

    def start(command, *options):
        if command == "infill":
            options = ("--gap", "0.1:0.2", "--method", "tokens", *options)
        return call(command, "in", "-o", "out", "--model", tiny, *options)

    return start


@pytest.fixture
def failing(monkeypatch):
    """``failing(error, channels)``: what codes or decodes so many channels raises it.

    So does what makes masks, which sees all channels as one; or only what is named.
    """

    def set_up(error, channels=1, only=("encode", "decode", "forward")):
        from audiomask.networks.masks import MaskUNet
        from audiomask.networks.vqvae.model import VQVAE

        asked = []
        for model, name in ((VQVAE, "encode"), (VQVAE, "decode"), (MaskUNet, "forward")):
            if name not in only:
                continue
            real = getattr(model, name)

            def instead(self, first, *rest, real=real, **options):
                asked.append(len(first))
                if len(first) >= channels:
                    raise error
                return real(self, first, *rest, **options)

            monkeypatch.setattr(model, name, instead)
        return asked

    return set_up


@pytest.mark.parametrize("command", COMMANDS)
def test_cuda_without_a_gpu_is_wrong_usage(call, wav, monkeypatch, listing, command):
    wav("song.wav")
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    for device in ("cuda", "cuda:0", "cuda:7"):
        done = call(command, "song.wav", "-o", "out", "--device", device)
        assert done.status == 2
        assert f"--device {device}: no such CUDA device" in done.error_line()
        assert listing() == ["song.wav"]


def test_verbose_names_the_device_that_auto_took(invoke, wav, engine, monkeypatch):
    wav("song.wav")
    monkeypatch.setattr(engine, "device", torch.device("cuda", 0))
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "Some GPU")
    assert "computing on cuda:0 (Some GPU)" in invoke("tokenize", "song.wav", "-v").err
    assert "Some GPU" not in invoke("tokenize", "song.wav", "--overwrite").err


@pytest.mark.parametrize("jobs", [1, 2])
@pytest.mark.parametrize("command", COMMANDS)
def test_a_gpu_that_is_lost_ends_all_at_once(batch, failing, listing, command, jobs):
    asked = failing(RuntimeError("CUDA error: unspecified launch failure\nCompile with"))
    done = batch(command, "--jobs", jobs)
    assert done.status == 1
    assert done.error_line().endswith(
        "cpu failed (unspecified launch failure): nothing more can be computed on it; "
        "check it with nvidia-smi, or use --device cpu"
    )
    assert len(asked) <= jobs
    assert [name for name in listing() if name.startswith("out")] == []


@pytest.mark.parametrize("command", ["detokenize", "infill"])
def test_a_file_too_large_for_the_device_fails_alone(batch, failing, listing, command):
    failing(torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"), channels=2)
    if command == "infill":  # which codes channel by channel, if it must
        failing(torch.OutOfMemoryError("CUDA out of memory"), channels=1)
    done = batch(command)
    assert done.status == 1
    failed = {"a", "b", "c", "d"} if command == "infill" else {"b"}
    made = {name.split("/")[1][0] for name in listing() if name.startswith("out")}
    assert made == set("abcd") - failed
    for name in failed:
        assert f"error: in/{name}." in done.err
    assert done.err.count("not enough memory on cpu: ") == 2 * len(failed)
    assert "Traceback" not in done.err


def test_what_can_be_cut_is_done_with_less_and_says_so(batch, failing, listing):
    # tokens are made channel by channel, if they must
    failing(torch.OutOfMemoryError("CUDA out of memory"), channels=2, only=("encode",))
    done = batch("separate", "--stem", "bass", "--method", "wiener")
    assert done.status == 0, done.err
    warnings = [line for line in done.err.splitlines() if "warning" in line]
    assert warnings == [
        "audiomask: warning: not enough memory on cpu for 2 channels at once: "
        "1 at a time from here on"
    ]
    assert len([name for name in listing() if name.startswith("out")]) == 4

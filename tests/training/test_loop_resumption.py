"""The loop resumes: a run in parts equals one without interruption."""

import json
import signal
from pathlib import Path

import pytest
import torch
from doubling import CPU, Doubling, Numbers, log, run, same, terminate
from torch import Tensor
from torch.utils.data import Dataset

from audiomask.networks.vqvae.config import VQVAEConfig
from audiomask.networks.vqvae.model import VQVAE
from audiomask.training.batches import BatchSource
from audiomask.training.config import Run, TrainConfig
from audiomask.training.loop import train
from audiomask.training.tasks.vqvae import VQVAETask


@pytest.mark.parametrize("workers", [0, 1])
def test_a_resumed_run_equals_one_without_interruption(tmp_path: Path, workers: int) -> None:
    whole = Doubling()
    assert run(whole, tmp_path / "whole", workers=workers) == 8
    before = signal.getsignal(signal.SIGTERM)
    stopped = Doubling({3: terminate})
    assert run(stopped, tmp_path / "parts", workers=workers) == 3
    assert signal.getsignal(signal.SIGTERM) is before
    assert not same(tmp_path / "whole", tmp_path / "parts")
    resumed = Doubling()
    torch.manual_seed(99)  # another process
    assert run(resumed, tmp_path / "parts", workers=workers, resume=True) == 8
    assert same(tmp_path / "whole", tmp_path / "parts")
    assert torch.equal(torch.cat(whole.batches), torch.cat([*stopped.batches, *resumed.batches]))
    losses = [[entry["loss"] for entry in log(tmp_path / name)] for name in ("whole", "parts")]
    assert losses[0] == losses[1]
    for name, value in whole.saved[-1]["weights"].items():
        assert torch.equal(value, resumed.saved[-1]["weights"][name])


def test_a_resumed_vqvae_does_too(tmp_path: Path) -> None:
    # its codebooks learn by running means, and it drops levels and re-seeds codes at random
    config = VQVAEConfig(
        hop_length=256, stft_size=512, encoder_dim=8, encoder_blocks=1, decoder_dim=8,
        decoder_blocks=1, levels=2, codebook_size=8, code_dim=4,
    )  # fmt: skip

    class Noise(Dataset[Tensor]):
        def __getitem__(self, index: int) -> Tensor:
            random = torch.Generator().manual_seed(index)
            return 0.1 * torch.randn(1, 8192, generator=random)

    def task() -> VQVAETask:
        torch.manual_seed(0)
        return VQVAETask(VQVAE(config), "default", {})

    class Killed(VQVAETask):
        count = 0

        def loss(self, batch: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
            self.count += 1
            if self.count == 6:
                raise KeyboardInterrupt
            return super().loss(batch)

    run(task(), tmp_path / "whole", data=Noise())
    killed = Killed(task().model, "default", {})
    with pytest.raises(KeyboardInterrupt):
        run(killed, tmp_path / "parts", data=Noise(), save_every=4)
    assert run(task(), tmp_path / "parts", data=Noise(), resume=True) == 8
    assert same(tmp_path / "whole", tmp_path / "parts")


def test_a_finished_run_has_nothing_left_to_do(tmp_path: Path) -> None:
    run(Doubling(), tmp_path)
    again = Doubling()
    assert run(again, tmp_path, resume=True) == 8
    assert again.batches == []
    # unless it is asked for more steps
    assert run(again, tmp_path, steps=10, resume=True) == 10
    assert torch.equal(again.batches[0][0], Numbers()[32])


def test_a_run_goes_on_where_its_items_ended_whatever_the_batch(tmp_path: Path) -> None:
    run(Doubling(), tmp_path, steps=3)
    again = Doubling()
    plan = TrainConfig(5, batch_size=6, warmup=3, log_every=1)
    train(again, BatchSource(Numbers()), plan, tmp_path, Run(CPU, quiet=True, resume=True))
    expected = torch.stack([Numbers()[i] for i in range(12, 24)])
    assert torch.equal(torch.cat(again.batches), expected)


def test_what_a_kill_undid_is_taken_out_of_the_log(tmp_path: Path) -> None:
    def kill(loss: Tensor) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(Doubling({7: kill}), tmp_path, save_every=4)
    with (tmp_path / "log.jsonl").open("a") as file:
        file.write('{"step": 6, "lo')  # cut by the kill
    assert [entry["step"] for entry in log_lines(tmp_path)] == [1, 2, 3, 4, 5, 6]
    run(Doubling(), tmp_path, resume=True)
    assert [entry["step"] for entry in log(tmp_path)] == list(range(1, 9))


def log_lines(out: Path) -> list[dict[str, float]]:
    lines = (out / "log.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines if line.endswith("}")]

"""``audiomask shrink``, the installed command."""


def test_a_folder_of_checkpoints_is_copied(run, tiny, tmp_path) -> None:
    done = run("shrink", tiny, "-o", "small")
    assert (done.status, done.out) == (0, b"")
    assert "MB" in done.err
    for kind in ("vqvae", "mlm", "masks"):
        assert kind in done.err
        assert (tmp_path / "small" / kind / "config.json").exists()
    again = run("shrink", tiny, "-o", "small")
    assert again.status == 2
    assert "--overwrite" in again.error_line()
    assert run("shrink", tiny, "-o", "small", "--overwrite", "--quiet").err == ""


def test_what_cannot_be_copied_is_one_line(run, tiny, tmp_path) -> None:
    for arguments, status, words in (
        (("nowhere", "-o", "small"), 1, "not a checkpoint"),
        ((tiny / "vqvae", "-o", tiny / "vqvae"), 2, "is the original"),
    ):
        done = run("shrink", *arguments)
        assert done.status == status
        assert words in done.error_line()
    assert not (tmp_path / "small").exists()

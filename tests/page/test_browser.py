"""Pages in a real browser, opened from disk: what is heard, keys, loops, and how they look."""

import re

import browser
import pytest

RATE = 22050

ALL = [500, 1000, 2000, 3000]


def heard(page):
    return browser.heard(page, ALL)


def at(page, number=0):
    return page.evaluate(f"audiomask.players[{number}].at")


def wait_for(page, condition):
    page.wait_for_function(condition)


@pytest.mark.parametrize("ending", ["flac", "ogg"])
def test_plays_in_sync_and_pauses(make_page, visit, ending):
    page = visit(make_page(seconds=20, ending=ending))
    assert page.title() == "song"
    page.get_by_role("button", name="Play").click()
    wait_for(page, "audiomask.players[0].at > 0.3")
    assert page.evaluate("audiomask.audioContext().state") == "running"
    page.get_by_role("button", name="Pause").click()
    assert 0.3 < at(page) < 20
    assert page.evaluate("audiomask.players[0].engine.sources.length") == 0
    # each decoded track is as long as what was written
    lengths = "audiomask.players[0].engine.buffers.map((buffer) => buffer.length)"
    assert page.evaluate(lengths) == [20 * RATE] * 4


def test_ends_at_the_end(make_page, visit):
    page = visit(make_page(seconds=0.5))
    # half a second can pass between two looks from here: the page itself sees the end
    page.evaluate("""() => {
        const player = audiomask.players[0];
        player.ended = new Promise((resolve) => {
            player.pause = function () {
                const { started } = this;
                delete this.pause;
                this.pause();
                resolve(started);
            };
        });
    }""")
    page.keyboard.press("Space")
    late = "new Promise((resolve) => setTimeout(resolve, 30_000, 'late'))"
    assert page.evaluate(f"Promise.race([audiomask.players[0].ended, {late}])") is True
    assert page.evaluate("audiomask.players[0].playing") is False
    assert at(page) == 0


def test_solo_mute_and_volume_change_what_sounds(make_page, visit):
    page = visit(make_page())
    page.evaluate("audiomask.players[0].setLoop({ from: 0, to: 4 })")
    page.keyboard.press("Space")
    wait_for(page, "audiomask.players[0].started")
    assert heard(page) == [500, 1000, 2000]  # the original is no part of the mix
    page.get_by_role("button", name="Solo: bass").click()
    assert heard(page) == [1000]
    page.get_by_role("button", name="Solo: guitar").click(modifiers=["Shift"])
    assert heard(page) == [500, 1000]
    page.keyboard.press("3")
    assert heard(page) == [2000]
    page.keyboard.press("0")
    assert heard(page) == [3000]
    page.keyboard.press("0")
    page.get_by_role("button", name="Mute drums").click()
    assert heard(page) == [500, 1000]
    page.get_by_role("slider", name="Volume of guitar").fill("0")
    assert heard(page) == [1000]


def test_keys(make_page, visit):
    page = visit(make_page(seconds=20))
    for key, place in (("ArrowRight", 1), ("Shift+ArrowRight", 6), ("ArrowLeft", 5), ("Home", 0)):
        page.keyboard.press(key)
        assert at(page) == pytest.approx(place)
    page.keyboard.press("Shift+ArrowRight")
    page.keyboard.press("[")
    page.keyboard.press("Shift+ArrowRight")
    page.keyboard.press("]")
    assert page.evaluate("audiomask.players[0].loop") == {"from": 5, "to": 10}
    assert page.get_by_role("button", name="End the loop 0:05.00 – 0:10.00").is_visible()
    page.keyboard.press("Escape")
    assert page.evaluate("audiomask.players[0].loop") is None
    # space presses the button that has the focus, and arrows move the volume's
    page.get_by_role("button", name="Solo: drums").focus()
    page.keyboard.press("Space")
    assert page.evaluate("audiomask.players[0].playing") is False
    assert page.get_by_role("button", name="Solo: drums").get_attribute("aria-pressed") == "true"
    before = at(page)
    page.get_by_role("slider", name="Volume of bass").focus()
    page.keyboard.press("ArrowLeft")
    assert at(page) == before
    assert page.get_by_role("slider", name="Volume of bass").input_value() == "99"


def test_the_mouse_seeks_and_loops(make_page, visit):
    page = visit(make_page())
    box = page.locator(".view").nth(1).bounding_box()
    middle = box["y"] + box["height"] / 2
    page.mouse.click(box["x"] + box["width"] / 2, middle)
    assert at(page) == pytest.approx(2, abs=0.02)
    page.mouse.move(box["x"] + box["width"] / 4, middle)
    page.mouse.down()
    page.mouse.move(box["x"] + 3 * box["width"] / 8, middle, steps=4)
    page.mouse.up()
    loop = page.evaluate("audiomask.players[0].loop")
    assert loop["from"] == pytest.approx(1, abs=0.02)
    assert loop["to"] == pytest.approx(1.5, abs=0.02)
    page.keyboard.press("Space")
    wait_for(page, "audiomask.players[0].started")
    begun = page.evaluate("audiomask.players[0].engine.begun.when")
    # a loop's length later it still plays inside it
    wait_for(page, f"audiomask.audioContext().currentTime > {begun} + 0.8")
    assert loop["from"] <= page.evaluate("audiomask.players[0].engine.time()") < loop["to"]
    page.get_by_role("button", name=re.compile("End the loop")).click()
    wait_for(page, "audiomask.players[0].at > 1.7")


def test_what_sounds_is_the_loop(make_page, visit):
    page = visit(make_page())
    page.evaluate("audiomask.players[0].setLoop({ from: 3.6, to: 3.95 })")
    page.keyboard.press("Space")
    wait_for(page, "audiomask.players[0].started")
    begun = page.evaluate("audiomask.players[0].engine.begun.when")
    # the tracks would have ended
    wait_for(page, f"audiomask.audioContext().currentTime > {begun} + 0.6")
    assert heard(page) == [500, 1000, 2000]


def test_files_beside_the_page_play_together(make_page, visit):
    page = visit(make_page(inside=False))
    page.keyboard.press("Space")
    sounds = "audiomask.players[0].engine.sounds"
    wait_for(page, f"{sounds}.every((sound) => sound.currentTime > 0.2)")
    times = page.evaluate(f"{sounds}.map((sound) => sound.currentTime)")
    assert max(times) - min(times) < 1
    assert page.evaluate(f"{sounds}.map((sound) => sound.volume)") == [0, 1, 1, 1]
    page.keyboard.press("2")
    assert page.evaluate(f"{sounds}.map((sound) => sound.volume)") == [0, 0, 1, 0]
    page.evaluate("audiomask.players[0].setLoop({ from: 2, to: 2.4 })")
    wait_for(page, "audiomask.players[0].at >= 2")
    wait_for(page, "audiomask.players[0].at > 2.3")
    wait_for(page, "audiomask.players[0].at < 2.2")


def test_a_file_that_no_browser_plays_is_told(make_page, visit, tmp_path):
    path = make_page(inside=False)
    (tmp_path / "0-2.flac").write_text("no audio")
    page = visit(path)
    page.get_by_text("This browser cannot play the file.").wait_for()
    page.keyboard.press("Space")
    wait_for(page, "audiomask.players[0].engine.sounds[0].currentTime > 0.1")


def test_before_and_after_are_heard_in_turn(make_page, visit):
    pair = {"before": 500.0, "after": 1000.0}
    page = visit(make_page(in_turn=True, names=pair, players=2))
    page.evaluate("audiomask.players[0].setLoop({ from: 0, to: 4 })")
    page.keyboard.press("Space")
    wait_for(page, "audiomask.players[0].started")
    assert heard(page) == [1000]
    page.keyboard.press("1")
    assert heard(page) == [500]
    page.keyboard.press("1")  # there is no mix to go back to
    assert heard(page) == [500]
    assert page.locator(".view").first.locator(".region").count() == 1
    # another player silences this one, and has the keys
    page.evaluate("audiomask.players[1].setLoop({ from: 0, to: 4 })")
    page.get_by_role("button", name="Play").nth(0).click()
    wait_for(page, "audiomask.players[1].started && !audiomask.players[0].playing")
    page.keyboard.press("Space")
    wait_for(page, "!audiomask.players[1].playing")


def test_names_are_text(make_page, visit):
    hostile = '</script><img src=x onerror="window.hacked=1"><script>window.hacked=1</script>'
    page = visit(make_page(title=hostile, names={hostile: 500.0, "{{data}}": 1000.0}))
    assert page.evaluate("window.hacked") is None
    assert page.title() == hostile
    assert page.locator("h1").inner_text() == hostile
    assert page.get_by_role("button", name=f"Mute {hostile}").is_visible()
    assert page.get_by_role("button", name="Mute {{data}}").is_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_fits_a_phone_in_light_and_dark(make_page, visit, scheme):
    size = {"width": 360, "height": 740}
    page = visit(make_page(), color_scheme=scheme, viewport=size)
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
    light = sum(map(int, re.findall(r"\d+", ground)[:3])) > 3 * 128
    assert light is (scheme == "light")
    # each waveform is drawn: its canvas has colored pixels
    drawn = """[...document.querySelectorAll("canvas.wave")].map((canvas) => canvas.getContext("2d")
      .getImageData(0, 0, canvas.width, canvas.height).data.some((value) => value > 0))"""
    assert page.evaluate(drawn) == [True] * 4
    pictures = "[...document.images].every((image) => image.complete && image.naturalWidth > 100)"
    assert page.evaluate(pictures)

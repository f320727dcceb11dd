"""The page in a real browser: it sees, answers and learns as jaxnet does."""

import base64
import os
import re
import shutil
from functools import partial

import jax
import numpy as np
import pytest
from PIL import Image
from selenium import webdriver
from selenium.webdriver.common.actions.action_builder import ActionBuilder
from selenium.webdriver.common.actions.pointer_input import PointerInput
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.wait import WebDriverWait

import jaxnet
from jaxnet import convolution, max_pool
from jaxnet.pictures import prepare, read_picture
from jaxnet.pictures.preparing import normalise
from jaxnet.runs import save_page
from tests.helpers import compiled

pytestmark = pytest.mark.slow
FLAGS = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run "
    "--disable-background-networking --disable-component-update --disable-sync"
)
THREE = [(0, 0), (40, -15), (75, 10), (75, 40), (35, 65), (80, 85), (80, 125)]
THREE = [(x, y) for x, y in [*THREE, (45, 150), (0, 135)]]


@pytest.fixture(scope="module")
def chromium(tmp_path_factory):
    """One Chromium for all tests, skipped without one unless the tests must not be."""
    binary, service = shutil.which("chromium"), shutil.which("chromedriver")
    if binary is None or service is None:
        required = os.environ.get("JAXNET_TEST_BROWSER") == "required"
        missing = "needs Chromium: apt-get install chromium chromium-driver"
        pytest.fail(missing) if required else pytest.skip(missing)
    options = webdriver.ChromeOptions()
    options.binary_location = binary
    folder = tmp_path_factory.mktemp("chromium")
    for flag in (*FLAGS.split(), f"--user-data-dir={folder}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options, webdriver.ChromeService(service))
    yield driver
    driver.quit()


@pytest.fixture(scope="module")
def network(mnist):
    key = jax.random.key(0)
    params = jaxnet.init(key, [784, 30, 10], init_layer=jaxnet.scaled_layer)
    options = {"batch_size": 10, "eta": 0.5, "cost": jaxnet.cross_entropy}
    return jaxnet.train(key, params, mnist.train[:10_000], epochs=5, **options)[0]


class Page:
    """A network's page in the browser."""

    def __init__(self, driver, path):
        self.driver = driver
        driver.get(path.as_uri())

    def run(self, script, *args):
        return self.driver.execute_script(script, *args)

    def find(self, query):
        return self.driver.find_element(By.CSS_SELECTOR, query)

    def draw(self, points, kind="mouse"):
        """Draw with real events; points are in 280ths of the paper's side."""
        box = "const r = $('paper').getBoundingClientRect(); return [r.x, r.y, r.width]"
        left, top, side = self.run(box)
        pointer = PointerInput(kind, kind)
        actions = ActionBuilder(self.driver, mouse=pointer, duration=0)
        for x, y in points:
            place = round(left + x * side / 280), round(top + y * side / 280)
            actions.pointer_action.move_to_location(*place)
            if (x, y) == points[0]:
                actions.pointer_action.pointer_down()
        actions.pointer_action.pointer_up()
        actions.perform()
        self.settle()

    def settle(self):
        self.driver.execute_async_script("requestAnimationFrame(() => arguments[0]())")

    @property
    def says(self):
        return self.find("#says").text

    @property
    def pixels(self):
        return np.array(self.run("return [...x]"), np.float32)

    @property
    def params(self):
        """The weights and the biases of each layer in turn."""
        arrays = "return layers.flatMap(({ w, b }) => (w ? [[...w], [...b]] : []))"
        return [np.array(array) for array in self.run(arrays)]


@pytest.fixture
def opened(chromium, tmp_path):
    """A function that opens a network's page. The console must stay silent."""

    def opened(params, cost=jaxnet.cross_entropy):
        save_page(tmp_path / "page.html", params, cost)
        return Page(chromium, tmp_path / "page.html")

    yield opened
    assert chromium.get_log("browser") == []


@pytest.fixture
def page(opened, network):
    return opened(network)


def moved(points, across, down, size=1.0):
    return [(across + size * x, down + size * y) for x, y in points]


def test_outputs_are_those_of_python(page, network, mnist):
    x = np.asarray(mnist.test.x[:500])
    pixels = base64.b64encode((256 * x).astype(np.uint8).tobytes()).decode()
    outputs = """
        const bytes = Uint8Array.from(atob(arguments[0]), c => c.charCodeAt(0));
        const image = i => Float64Array.from(bytes.slice(784 * i, 784 * (i + 1)));
        return range(500, i => [...forward(layers, image(i).map(b => b / 256))[2]]);
    """
    expected = jax.jit(jax.vmap(partial(jaxnet.predict, network)))(x)
    np.testing.assert_allclose(page.run(outputs, pixels), expected, atol=1e-5)


LESSONS = [
    (jaxnet.quadratic, [784, 6, 6, 10], [jaxnet.tanh, jaxnet.sigmoid]),
    (jaxnet.cross_entropy, [784, 6, 10], jaxnet.sigmoid),
    (jaxnet.linear_quadratic, [784, 6, 10], jaxnet.linear),
    (
        jaxnet.log_likelihood,
        [jaxnet.Image(28, 28), *[convolution(3, 5), max_pool(2)] * 2, 6, 10],
        [jaxnet.linear, jaxnet.tanh, jaxnet.tanh, jaxnet.linear, jaxnet.relu],
    ),
]


@pytest.mark.parametrize(("cost", "sizes", "hidden"), LESSONS, ids=str)
def test_a_lesson_is_a_step_of_gradient_descent(opened, cost, sizes, hidden):
    layer = jaxnet.scaled_layer
    params = jaxnet.init(jax.random.key(0), sizes, hidden, cost.output, layer)
    page = opened(params, cost)
    page.draw(moved(THREE, 80, 60))
    x = page.pixels
    before = page.run("return [...forward(layers, x).at(-1)]")
    expected = jax.jit(partial(jaxnet.predict, params))(x)
    np.testing.assert_allclose(before, expected, atol=1e-5)
    page.run("$('eta').value = 0; $('eta').oninput()")
    assert page.find("#eta-value").text == "1.0"
    page.find("#outputs li:nth-child(8) button").click()
    examples = jax.device_put((x[np.newaxis], np.eye(10, dtype=np.float32)[7:8]))
    learn = jax.jit(partial(jaxnet.step, cost=cost))
    expected = learn(jaxnet.start(params), *examples, eta=1.0).params
    for array, numbers in zip(jax.tree.leaves(expected), page.params, strict=True):
        np.testing.assert_allclose(numbers, np.ravel(array), atol=1e-5)
    after = page.run("return [...forward(layers, x).at(-1)]")
    said = list(map(float, re.findall(r"-?\d+\.\d+(?:e[+-]\d+)?", page.says)))
    np.testing.assert_allclose(said, [before[7], after[7]], rtol=0.06, atol=0.01)
    page.find("#reset").click()
    reset = page.run("return [...forward(layers, x).at(-1)]")
    np.testing.assert_array_equal(reset, before)


def test_ink_comes_into_mnist_s_form_as_in_python(page):
    for points, width in (
        (moved(THREE, 60, 60), 20),
        (moved(THREE, 20, 90, 0.4), 9),
        (moved(THREE, 150, 200, 0.1), 3),
        ([(100, 100)], 40),
    ):
        page.run(
            "strokes = [{ points: arguments[0], width: arguments[1] }]", points, width
        )
        script = """
            look();
            const { data } = ink.getImageData(0, 0, 280, 280);
            return [...data.filter((_, i) => i % 4 === 3)];
        """
        alpha = np.array(page.run(script), np.float32).reshape(280, 280)
        expected = normalise(255 - alpha, alpha / 255).image
        # A rounding error may change a pixel by one level.
        np.testing.assert_allclose(page.pixels, expected.ravel(), atol=1.01 / 256)


def test_a_digit_is_read_wherever_and_however_large_it_is_drawn(page):
    for size in (0.4, 0.8, 1.4):
        room = 280 - 150 * size - 20
        for across in (0, 0.5, 1):
            for down in (0, 0.5, 1):
                corner = 15 + across * (280 - 80 * size - 30), 35 + down * (room - 40)
                points = moved(THREE, *corner, size)
                page.run(
                    "strokes = [{ points: arguments[0], width: 20 }]; look()", points
                )
                assert page.find("#digit").text == "3", (size, across, down)


def test_nothing_drawn_gets_no_answer(page):
    says, button = page.says, page.find("#outputs button")
    assert says == "Nothing is drawn yet." and not button.is_enabled()
    assert page.find("#digit").text == "?" and page.find("#hint").is_displayed()
    page.draw(moved(THREE, 80, 60))
    assert page.find("#digit").text == "3" and page.says.endswith(" a 3.")
    assert button.is_enabled() and not page.find("#hint").is_displayed()
    assert page.find("#outputs .best button").text == "3"
    page.draw([(30, 30), (40, 250)])
    page.find("#undo").click()
    assert page.find("#digit").text == "3"
    page.find("#clear").click()
    assert page.says == says and not button.is_enabled()


def test_arrow_keys_draw_and_choose_neurons(page):
    page.run("$('paper').focus()")
    down = Keys.SHIFT + Keys.ARROW_DOWN * 14 + Keys.NULL
    page.find("#paper").send_keys(Keys.ARROW_UP * 7, down)
    assert page.find("#digit").text == "1"
    assert page.run("return strokes.length") == 1
    page.run("document.querySelector('[name=neuron]').focus()")
    page.driver.switch_to.active_element.send_keys(Keys.ARROW_RIGHT)
    assert page.find("#pointed").text == "Layer 1, number 2"
    page.run("all('[name=neuron]')[30].click()")
    assert page.run("return [$('weights').width, $('weights').height]") == [10, 3]
    assert page.find("#pointed").text == "Layer 2, number 1"


@pytest.fixture
def phone(chromium):
    """The browser as a phone of 360 x 640 pixels."""
    sizes = {"width": 360, "height": 640, "deviceScaleFactor": 2, "mobile": True}
    chromium.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", sizes)
    touch = "Emulation.setTouchEmulationEnabled"
    chromium.execute_cdp_cmd(touch, {"enabled": True})
    yield
    chromium.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    chromium.execute_cdp_cmd(touch, {"enabled": False})


def test_a_finger_draws_on_a_phone_and_does_not_scroll(phone, page):
    width, height, top = page.run(
        "return [document.documentElement.scrollWidth, document.body.scrollHeight,"
        " $('paper').getBoundingClientRect().top]"
    )
    assert width == 360 and height > 1000 and top < 300
    page.draw([(150, 250), (148, 190), (145, 120), (140, 30)], "touch")
    assert page.find("#digit").text == "1"
    assert page.run("return [strokes.length, window.scrollY]") == [1, 0]


def test_a_picture_is_read_as_predict_reads_it(page, network, mnist, tmp_path):
    """Of any size and place, in colours, light on dark or dark on light."""
    rng = np.random.default_rng(0)
    for number in range(8):
        digit = np.asarray(mnist.test.x[number]).reshape(28, 28)
        ink = np.kron(digit, np.ones((rng.integers(3, 11),) * 2))
        ink = np.pad(ink, rng.integers(10, 200, (2, 2)))
        ends = np.array([[250, 240, 60], [20, 60, 160]])[:: 1 - 2 * (number % 2)]
        colours = ends[0] + ink[..., np.newaxis] * (ends[1] - ends[0])
        path = tmp_path / f"{number}.png"
        Image.fromarray(colours.astype(np.uint8)).save(path)
        page.find("#file").send_keys(str(path))
        WebDriverWait(page.driver, 5, 0.02).until(lambda _: page.run("return x"))
        expected = prepare(read_picture(path)).image.ravel()
        assert np.corrcoef(page.pixels, expected)[0, 1] > 0.98
        answer = compiled(jaxnet.predict)(network, expected).argmax()
        assert page.find("#digit").text == str(answer)
        page.find("#clear").click()


def test_a_network_that_has_learned_is_saved_for_evaluate(page, tmp_path, capsys):
    behaviour = {"behavior": "allow", "downloadPath": str(tmp_path)}
    page.driver.execute_cdp_cmd("Browser.setDownloadBehavior", behaviour)
    page.draw(moved(THREE, 80, 60))
    page.find("#outputs button").click()
    page.find("#save").click()
    path = tmp_path / "network.json"
    WebDriverWait(page.driver, 5, 0.02).until(lambda _: path.exists())
    params, cost = jaxnet.load_book_network(path)
    assert cost == jaxnet.cross_entropy
    for array, numbers in zip(jax.tree.leaves(params), page.params, strict=True):
        np.testing.assert_array_equal(np.ravel(array), np.float32(numbers))

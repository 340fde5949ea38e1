from training.bundle import SEEDS
from training.configs.default import CONFIG
from training.samples import SEED as SAMPLE_SEED


def test_a_share_of_a_configuration() -> None:
    half = CONFIG.scaled(0.5)
    assert half.amounts.cnn == CONFIG.amounts.cnn / 2
    assert half.cnn_fit.steps == CONFIG.cnn_fit.steps / 2
    assert half.amounts.test == CONFIG.amounts.test
    assert half.words == CONFIG.words


def test_no_seed_is_used_twice() -> None:
    amounts = CONFIG.amounts
    counts = {"cnn": amounts.cnn, "rnn": amounts.rnn, "calibration": amounts.calibration, "test": amounts.test}
    seeds = [SEEDS[name] + number for name, count in counts.items() for number in range(count)]
    assert len(set(seeds)) == len(seeds)
    assert SAMPLE_SEED not in seeds

from training.configs.default import CONFIG, LARGE, MORE
from training.configs.phantom_config import SEEDS
from training.data.samples import SEED as SAMPLE_SEED
from training.evaluate.test_set import SHIFTED, TEST


def test_a_share_of_a_configuration() -> None:
    half = CONFIG.scaled(0.5)
    assert half.amounts.rnn == CONFIG.amounts.rnn / 2
    assert half.cnn_fit.steps == CONFIG.cnn_fit.steps / 2
    assert half.amounts.calibration == CONFIG.amounts.calibration
    assert half.words == CONFIG.words


def test_no_seed_is_used_twice() -> None:
    counts = {SEEDS[name]: getattr(LARGE.amounts, name) for name in ("rnn", "calibration", "watch")}
    for fit in (CONFIG.cnn_fit, LARGE.cnn_fit, MORE.cnn_fit):
        counts[fit.stream.first_seed] = fit.stream.rounds_by(fit.steps) * fit.stream.studies_a_round
    seeds = [first + number for first, count in counts.items() for number in range(count)]
    seeds += [wanted.seed for every in (TEST, *SHIFTED.values()) for wanted in every]
    assert len(set(seeds)) == len(seeds)
    assert SAMPLE_SEED not in seeds

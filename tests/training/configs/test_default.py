from training.configs.config import SEEDS, Config
from training.configs.default import CONFIG, LARGE, MORE
from training.data.samples import SEED as SAMPLE_SEED
from training.evaluate.test_set import SHIFTED, TEST


def test_a_share_of_a_configuration() -> None:
    half = CONFIG.scaled(0.5)
    assert half.phantoms
    assert half.phantoms.rnn == 200
    assert half.cnn.steps == 1200
    assert half.phantoms.calibration == 150
    assert half.card == CONFIG.card


def _stream(config: Config) -> dict[int, int]:
    stream = config.cnn.stream
    assert stream
    assert config.cnn.steps
    return {stream.first_seed: stream.rounds_by(config.cnn.steps) * stream.studies_a_round}


def test_no_seed_is_used_twice() -> None:
    counts = {SEEDS[name]: getattr(LARGE.phantoms, name) for name in ("rnn", "calibration", "validation")}
    for config in (CONFIG, LARGE, MORE):
        counts |= _stream(config)
    seeds = [first + number for first, count in counts.items() for number in range(count)]
    seeds += [wanted.seed for every in (TEST, *SHIFTED.values()) for wanted in every]
    assert len(set(seeds)) == len(seeds)
    assert SAMPLE_SEED not in seeds

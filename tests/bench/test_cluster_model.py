"""The simulation of a cluster against queueing theory, and its rules of order."""

import itertools
import statistics
from bisect import bisect
from dataclasses import replace

import pytest
import simpy

from tests.bench.cluster_model.arrivals import DAY_S, HOUR_S, Demand, Study, rhythm, steady
from tests.bench.cluster_model.cluster import Cluster, Outcome, Shape
from tests.bench.cluster_model.cpu import Cpu
from tests.bench.cluster_model.measurement import SIZES, fit
from tests.bench.cluster_model.queue import Steps
from tests.bench.cluster_model.stages import CnnReplica
from tests.bench.cluster_model.times import MEASURED, ServiceTimes, Work

NOTHING = Work(0.0)
TIMES = ServiceTimes(
    gateway=Work(0.01, 0.002),
    worker=Work(0.04, 0.003),
    preprocess=Work(0.01, 0.004, threads=2),
    cnn=Work(0.005, 0.01, threads=2),
    rnn=Work(0.02),
    idle_s=0.1,
    origin="assumed",
)
CNN_ONLY = replace(TIMES, gateway=NOTHING, worker=NOTHING, preprocess=NOTHING, rnn=NOTHING, idle_s=0.0)


def _mean_response_of_cnn(service_s: float, load: float) -> float:
    """Mean response of one replica to single slices with Poisson arrivals, one slice a batch."""
    env, responses = simpy.Environment(), list[float]()
    replica = CnnReplica(env, Cpu(env, 1), Work(service_s), max_batch=1)

    def request(at_s: float) -> Steps:
        yield env.timeout(at_s)
        yield from replica.infer(1)
        responses.append(env.now - at_s)

    for study in steady(load / service_s, 20_000, 1):
        env.process(request(study.at_s))
    env.run()
    return statistics.fmean(responses[1000:])


@pytest.mark.parametrize("load", [0.3, 0.7])
def test_batches_of_one_wait_as_in_m_d_1(load: float) -> None:
    """Pollaczek and Khinchine: W = s + load * s / (2 * (1 - load))."""
    assert _mean_response_of_cnn(2.0, load) == pytest.approx(2.0 * (1 + load / (2 * (1 - load))), rel=0.05)


@pytest.mark.parametrize("load", [0.3, 0.7])
@pytest.mark.parametrize("exponential", [True, False])
def test_shared_cores_respond_as_m_g_1_with_processor_sharing(load: float, *, exponential: bool) -> None:
    """W = s / (1 - load) for any distribution of the work, thus also for M/M/1."""
    env, responses = simpy.Environment(), list[float]()
    cpu, chance = Cpu(env, 1), itertools.cycle([study.at_s for study in steady(1.0, 20_000, 1, seed=7)])
    works = [later - earlier for earlier, later in itertools.pairwise(itertools.islice(chance, 20_000))]

    def request(at_s: float, work_s: float) -> Steps:
        yield env.timeout(at_s)
        yield cpu.work(work_s)
        responses.append(env.now - at_s)

    for study, work_s in zip(steady(load, 19_999, 1), works, strict=True):
        env.process(request(study.at_s, work_s if exponential else 1.0))
    env.run()
    assert statistics.fmean(responses[1000:]) == pytest.approx(1 / (1 - load), rel=0.06)


def test_the_clock_of_shared_cores() -> None:
    env, ends = simpy.Environment(), dict[str, float]()
    cpu = Cpu(env, 2)

    def work(name: str, core_s: float, threads: float) -> Steps:
        yield cpu.work(core_s, threads)
        ends[name] = env.now

    for name, core_s, threads in (("wide", 2.0, 2), ("narrow", 1.0, 1), ("none", 0.0, 1)):
        env.process(work(name, core_s, threads))
    env.run()
    # Three threads on two cores run at 2/3 until 1.5 s, when all of them end.
    assert ends == {"none": 0, "wide": pytest.approx(1.5), "narrow": pytest.approx(1.5)}
    assert cpu.used_core_s == pytest.approx(3.0)


def test_one_thread_uses_one_core() -> None:
    env = simpy.Environment()
    cpu = Cpu(env, 8)
    env.run(cpu.work(3.0, 1))
    assert env.now == pytest.approx(3.0)


@pytest.mark.parametrize("shape", [Shape(shared_cores=2), Shape(cnn=3, workers=5), Shape(cnn=2, balancing="least")])
def test_work_is_conserved(shape: Shape) -> None:
    studies = [*Demand(20_000, sites=5, burst_share=0.3).studies(seed=3, end_s=2 * HOUR_S)]
    found = Cluster(shape, TIMES).run(studies)
    chunks = sum(-(-study.slices // 16) for study in studies)
    slices, jobs = sum(study.slices for study in studies), len(studies)
    parts = TIMES.gateway, TIMES.worker, TIMES.rnn, TIMES.preprocess
    expected = sum(part.slice_s * slices for part in (*parts, TIMES.cnn))
    expected += sum(part.base_s for part in parts[:3]) * jobs + TIMES.preprocess.base_s * chunks
    assert len(found.jobs) == jobs
    assert sum(found.cnn_slices) == slices
    batches = (found.core_s - expected) / TIMES.cnn.base_s  # several chunks may share one
    assert 0 < batches <= chunks + 1e-6


def test_saturated_cores_have_no_idle_time() -> None:
    found = Cluster(Shape(shared_cores=2), CNN_ONLY).run([Study(0.0, 0, 32) for _ in range(50)])
    assert found.core_s == pytest.approx(2 * found.seconds, rel=0.02)


def test_littles_law() -> None:
    """The mean number of jobs, by samples, is the rate of arrivals times their mean turn-around."""
    cluster, samples = Cluster(Shape(cnn=2), TIMES), list[int]()
    studies = [*steady(1.2, 2000, 34)]
    arrivals = [study.at_s for study in studies]

    def sample() -> Steps:
        for step in range(int(studies[-1].at_s)):
            yield cluster.env.timeout(step + 0.5 - cluster.env.now)
            ended = sum(job.ended_s > 0 for job in cluster.jobs[-200:]) + max(len(cluster.jobs) - 200, 0)
            samples.append(bisect(arrivals, cluster.env.now) - ended)

    cluster.env.process(sample())
    found = cluster.run(studies)
    rate = len(studies) / studies[-1].at_s
    assert statistics.fmean(samples) == pytest.approx(rate * statistics.fmean(found.turnaround_s), rel=0.05)


def test_urgent_studies_overtake_routine_ones() -> None:
    routine = [Study(0.0, 0, 34) for _ in range(60)]
    urgent = [Study(5.0 + number, 1, 34, "urgent") for number in range(3)]
    found = Cluster(Shape(urgent_workers=0), TIMES).run([*routine, *urgent])
    assert found.percentile_s(100, "urgent") < found.percentile_s(50, "routine") / 3


def test_a_small_sender_does_not_wait_for_a_large_one() -> None:
    large = [Study(0.0, 0, 34) for _ in range(80)]
    small = Study(1.0, 1, 34)
    found = Cluster(Shape(urgent_workers=0), TIMES).run([*large, small])
    order = [job.study.site for job in found.jobs and sorted(found.jobs, key=lambda job: job.ended_s)]
    assert order.index(1) < 20


def test_senders_take_turns() -> None:
    studies = [Study(0.0, site, 34) for site in (0, 1) for _ in range(40)]
    found = Cluster(Shape(workers=1, urgent_workers=0), TIMES).run(studies)
    order = [job.study.site for job in sorted(found.jobs, key=lambda job: job.ended_s)]
    assert 10 <= sum(order[:40]) <= 30


@pytest.mark.parametrize("balancing", ["random", "least"])
def test_slices_spread_over_the_replicas(balancing: str) -> None:
    shape = Shape(cnn=4, balancing="random" if balancing == "random" else "least")
    found = Cluster(shape, TIMES).run(steady(1.0, 2000, 34))
    assert min(found.cnn_slices) > 0.2 * sum(found.cnn_slices)


def _day(seed: int) -> Outcome:
    return Cluster(Shape(cnn=2), TIMES, seed).run(
        Demand(2000, sites=20, burst_share=0.2).studies(seed, end_s=9 * HOUR_S)
    )


def test_a_seed_gives_one_result() -> None:
    assert _day(1).turnaround_s == _day(1).turnaround_s
    assert _day(1).turnaround_s != _day(2).turnaround_s


def test_demand_has_its_daily_rhythm_and_bursts() -> None:
    demand = Demand(50_000, sites=500, burst_share=0.5, burst_size=20)
    studies = [*demand.studies(seed=1)]
    assert len(studies) == pytest.approx(50_000, rel=0.05)
    assert {study.site for study in studies} == set(range(500))
    night, noon = (sum(hour <= study.at_s / HOUR_S < hour + 1 for study in studies) for hour in (3, 11))
    assert noon / night == pytest.approx(rhythm(11 * HOUR_S) / rhythm(3 * HOUR_S), rel=0.25)
    together = sum(len([*group]) for _, group in itertools.groupby(studies, lambda study: study.at_s))
    assert together == len(studies)
    largest = max(len([*group]) for _, group in itertools.groupby(studies, lambda study: study.at_s))
    assert largest == 20
    assert sum(rhythm(hour * HOUR_S) for hour in range(24)) == pytest.approx(DAY_S / HOUR_S)


@pytest.mark.parametrize("chunks", [True, False])
def test_service_times_are_fitted(*, chunks: bool) -> None:
    counts = [(1, SIZES[0]), (3 if chunks else 1, SIZES[1])]
    small, large = (0.02 * count + 0.01 * slices for count, slices in counts)
    assert fit(small, large, chunks=chunks) == pytest.approx((0.02, 0.01))
    assert fit(0.1, 0.9, chunks=chunks)[0] >= 0


def test_the_committed_times_are_read_back(tmp_path_factory: pytest.TempPathFactory) -> None:
    times, path = ServiceTimes.read(MEASURED), tmp_path_factory.mktemp("times") / "times.json"
    times.write(path)
    assert ServiceTimes.read(path) == times

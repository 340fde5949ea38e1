"""Settings of the gateway, `ICH_GATEWAY_*`."""

from pathlib import Path
from tempfile import gettempdir

from pydantic_settings import SettingsConfigDict

from services.common.card import OperatingPoint
from services.common.settings import ServiceSettings


class Settings(ServiceSettings):
    """Where the stages are, what an upload may be, and how long a stage may take."""

    model_config = SettingsConfigDict(env_prefix="ICH_GATEWAY_")

    preprocess_url: str = "http://127.0.0.1:8001"
    cnn_url: str = "http://127.0.0.1:8002"
    rnn_url: str = "http://127.0.0.1:8003"
    connect_timeout_s: float = 2.0
    stage_timeout_s: float = 60.0

    spool_dir: Path = Path(gettempdir()) / "ich-spool"
    max_upload_bytes: int = 1024**3
    max_files: int = 2000
    max_unpacked_ratio: int = 100

    chunk_slices: int = 16
    chunks_in_flight: int = 2
    head_bytes: int = 64 * 1024
    operating_point: OperatingPoint = "default"
    acceptance_file: Path | None = None

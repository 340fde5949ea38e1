"""Texts about a series for lists. They may hold patient data: they live with the jobs, never in Redis or logs."""

from pydantic import BaseModel, ConfigDict, Field


class SeriesDescription(BaseModel):
    """Texts and times of a series' first readable header, cut to 64 characters each."""

    model_config = ConfigDict(frozen=True, extra="ignore")  # data from a stage, which may be newer

    series_description: str | None = Field(None, description="SeriesDescription (0008,103E)")
    study_description: str | None = Field(None, description="StudyDescription (0008,1030)")
    acquired: str | None = Field(
        None, description="AcquisitionDate and -Time, else those of the series or study; local time, ISO 8601"
    )
    patient_name: str | None = Field(
        None, description="PatientName (0010,0010), to be shown; the gateway drops it unless the site shows names"
    )

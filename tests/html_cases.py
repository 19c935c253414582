"""A page that tests of the HTML report look at, and the folder's record and account that it is made of."""

from study_cases import SMALL, fake_dataset

from sde_sgd.study.reporting._html import page

RECORD = {"format": 3, "fingerprint": "0123abcd", "versions": {"jax": "0.10.1"}, "source": "/somewhere"}
ACCOUNT = {
    "sharp-000-000": {"wall_seconds": 1.5, "path_steps": 2e6, "device": "one", "versions": {"jax": "0.10.1"}},
    "sharp-000-001": {"wall_seconds": 2.5, "path_steps": 3e6, "device": "other", "versions": {"jax": "0.10.1"}},
}


def marked_page():
    """A study of which one cell is not precise and γ = 0.08 lies beyond 2/λ_max, its dataset and its page."""
    study, _, data = fake_dataset()
    data["largest_curvature"] = data["probability"] * 0 + 40.0
    data["probability_high"].values[0, 0, 1] = 3 * data["probability"].values[0, 0, 1]
    data = data.assign_attrs(notes="start sharp: a note\nanother")
    return study, data, page(study, data, RECORD, ACCOUNT, SMALL)

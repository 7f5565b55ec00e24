"""One paragraph under each probe: what its numbers say, and what would overturn it."""

from collections.abc import Mapping

from chimera.study.labels import model_label

# Sentences of a model's numbers; one without its numbers is left out.
_SAID = {
    "spectra": (
        "by the last frame the enstrophy of the low band is off by {ind_energy_error_low:+.0%} at "
        "a phase error of {ind_phase_error_low:.2f} (1 is unrelated), that of the middle band by "
        "{ind_energy_error_mid:+.0%} at {ind_phase_error_mid:.2f}",
    ),
    "twonn": (
        "the input has {ind_input:.1f} dimensions at the scale of nearest neighbours, the "
        "bottleneck {ind_bottleneck:.1f}, the increment {ind_target:.1f}",
        "{plateaus:.0%} of all curves over scales have a plateau, on the others the dimension "
        "depends on the scale",
    ),
    "ib": (
        "of the input's two main components the bottleneck shows {ind_x_t_bottleneck:.2f} nats on "
        "IND",
        "and {ood_x_t_bottleneck:.2f} on OOD flows",
        "of those of the increment the bottleneck shows {ind_t_y_bottleneck:.2f} nats",
        "the last decoder {ind_t_y_decoder0:.2f} nats of the increment on IND",
        "and {ood_t_y_decoder0:.2f} on OOD flows",
    ),
}
_OVERTURNED = {
    "spectra": "Phases that stay close to the truth's while the enstrophy drifts would reverse it.",
    "twonn": "More samples, which reach finer scales, would overturn a number without a plateau.",
    "ib": "All are lower bounds, by linear decoders: a non-linear one that reads more from the "
    "bottleneck would overturn that it holds little.",
}


def probe_findings(probes: Mapping[str, Mapping[str, Mapping[str, float]]]) -> dict[str, str]:
    """Return the paragraph of each probe of metrics/probes.json that has one.

    >>> found = probe_findings({"unet": {"ib": {"ind_x_t_bottleneck": 0.5}}})
    >>> found["ib"].split(" nats")[0]
    "UNet: of the input's two main components the bottleneck shows 0.50"
    """
    found = {}
    for probe, sentences in _SAID.items():
        parts = []
        for model, rows in probes.items():
            said = [
                text for sentence in sentences if (text := _said(sentence, rows.get(probe, {})))
            ]
            if said:
                parts.append(f"{model_label(model)}: {', '.join(filter(None, said))}.")
        if parts:
            found[probe] = " ".join([*parts, _OVERTURNED[probe]])
    return found


def _said(sentence: str, statistics: Mapping[str, float]) -> str:
    try:
        return sentence.format_map(dict(statistics))
    except KeyError:
        return ""

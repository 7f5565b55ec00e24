"""Names by which a reader knows models, axes and endpoints, in figures and in the report."""

MODEL_LABELS = {
    "unet": "UNet",
    "unet_fractal_widths": "UNet (fractal widths)",
    "fractal_unet": "FractalUNet",
    "fractal_unet_c3": "FractalUNet (C = 3)",
    "convnext_unet": "ConvNeXt U-Net",
    "dilated_resnet": "dilated ResNet",
    "fno": "FNO",
}
ENDPOINT_LABELS = {
    "ood_nrmse": "OOD error, all axes",
    "ind_nrmse": "IND error",
    "ind_valid_time": "IND valid time",
    "gap": "generalisation gap",
}


def model_label(model: str) -> str:
    """Return the name by which people know a model.

    >>> model_label("fractal_unet"), model_label("my_net")
    ('FractalUNet', 'my net')
    """
    return MODEL_LABELS.get(model, model.replace("_", " "))


def axis_label(axis: str, separator: str = " ") -> str:
    """Return what a reader calls an axis.

    >>> axis_label("ind"), axis_label("ood_viscosity")
    ('IND', 'OOD viscosity')
    """
    if axis in ("ind", "ood"):
        return axis.upper()
    return f"OOD{separator}" + axis.removeprefix("ood_").replace("_", " ")


def contrast_label(name: str) -> str:
    """Return what a reader calls an endpoint.

    >>> contrast_label("ind_nrmse"), contrast_label("ood_decay_nrmse")
    ('IND error', 'OOD decay error')
    """
    return ENDPOINT_LABELS.get(name, axis_label(name.removesuffix("_nrmse")) + " error")

"""Fields on a grid: Fourier transforms, errors, bands of wavenumbers."""

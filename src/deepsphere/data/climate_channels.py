"""The sixteen channels of the climate data set, and the classes of its vertices."""

from dataclasses import dataclass

CLASS_NAMES = ("background", "tropical cyclone", "atmospheric river")

# Number of vertices over three times the number of those of the class, in the training set.
CLASS_WEIGHTS = (0.34130685, 318.47388343, 14.93759951)

# Shares of the vertices of the published data set that are cyclones and rivers.
CLASS_FREQUENCIES = (0.001, 0.022)


@dataclass(frozen=True)
class Channel:
    """A variable of the climate model, with its published statistics.

    Parameters
    ----------
    name
        Of the variable in the Community Atmosphere Model.
    description
        In words.
    unit
        Of its values, and of the statistics.
    mean, deviation
        Over the published training set.

    Examples
    --------
    >>> CHANNELS[0].name, CHANNELS[0].unit
    ('TMQ', 'kg/m2')
    """

    name: str
    description: str
    unit: str
    mean: float
    deviation: float


CHANNELS = (
    Channel("TMQ", "total precipitable water", "kg/m2", 26.160023, 17.04294),
    Channel("U850", "zonal wind at 850 hPa", "m/s", 0.98314494, 8.164175),
    Channel("V850", "meridional wind at 850 hPa", "m/s", 0.116573125, 5.6868863),
    Channel("UBOT", "zonal wind at the lowest level", "m/s", -0.45998842, 6.4967732),
    Channel("VBOT", "meridional wind at the lowest level", "m/s", 0.1930554, 5.4465833),
    Channel("QREFHT", "humidity at reference height", "kg/kg", 0.010749293, 0.006383436),
    Channel("PS", "surface pressure", "Pa", 98356.03, 7778.5957),
    Channel("PSL", "pressure at sea level", "Pa", 100982.02, 3846.1863),
    Channel("T200", "temperature at 200 hPa", "K", 216.13145, 9.791707),
    Channel("T500", "temperature at 500 hPa", "K", 258.9456, 14.35133),
    Channel("PRECT", "precipitation", "m/s", 3.765611e-8, 1.8771327e-7),
    Channel("TS", "surface temperature", "K", 288.82578, 19.866386),
    Channel("TREFHT", "temperature at reference height", "K", 288.03925, 19.094095),
    Channel("Z1000", "height of 1000 hPa", "m", 342.4827, 624.22406),
    Channel("Z200", "height of 200 hPa", "m", 12031.449, 679.5602),
    Channel("ZBOT", "height of the lowest level", "m", 63.435772, 4.2283397),
)

CHANNEL_NAMES = tuple(channel.name for channel in CHANNELS)

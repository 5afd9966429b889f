"""Cases of several frames that differ in what they mean (PS3.3 C.7.6.16)."""

from cases import decimal, lut, make, of, picture
from meaning import CENTER, FUNCTION, INTERCEPT, SLOPE, WIDTH, curve
from writer import BIG, EXPLICIT, IMPLICIT


def group(write, look):
    """The functional groups of a frame (PS3.3 C.7.6.16.2.9 and C.7.6.16.2.10)."""
    out = b""
    if look.window is not None:
        item = write.element(CENTER, "DS", decimal(look.window[0])) + write.element(
            WIDTH, "DS", decimal(look.window[1])
        )
        if look.function is not None:
            item += write.element(FUNCTION, "CS", look.function)
        out += write.sequence(0x00289132, [item])
    if look.voi_table is not None:
        out += write.sequence(0x00289132, [lut(write, look, 0x00283010, look.voi_table)])
    if (look.slope, look.intercept) != (1, 0):
        item = write.element(INTERCEPT, "DS", decimal(look.intercept)) + write.element(
            SLOPE, "DS", decimal(look.slope)
        )
        out += write.sequence(0x00289145, [item + write.element(0x00281054, "LO", "US")])
    return out


def enhanced(name, looks, shared=None, syntax=EXPLICIT, **how):
    """Frames of one object that differ in what they mean; `shared` is what all have that do not say
    it themselves."""
    plain = of(12)
    values = [picture(270 + index, 0, 4095, size=(17, 21)) for index in range(len(looks))]

    def groups(write):
        found = {0x52009230: write.sequence(0x52009230, [group(write, look) for look in looks])}
        found[0x52009229] = write.sequence(0x52009229, [group(write, shared) if shared else b""])
        return found

    case = make("frames", name, values, plain, syntax, replace=groups, **how)
    for look, of_all in ((look, shared) for look in looks):
        if of_all and look.window is None and look.voi_table is None:
            look.window, look.function, look.voi_table = (
                of_all.window,
                of_all.function,
                of_all.voi_table,
            )
        if of_all and (look.slope, look.intercept) == (1, 0):
            look.slope, look.intercept = of_all.slope, of_all.intercept
    case.frames = [(one, look) for one, look in zip(values, looks)]
    return case


def every():
    a, b, c = (1000, 2000), (2000, 900), (3000, 4000)
    table = (0, 12, curve(4096, 4095, 0.5))
    yield enhanced("windows", [of(12, window=w) for w in (a, b, c)])
    yield enhanced(
        "function_of_the_last",
        [of(12, window=a), of(12, window=b), of(12, window=c, function="SIGMOID")],
    )
    yield enhanced(
        "table_of_the_first", [of(12, voi_table=table), of(12, window=a), of(12, window=b)]
    )
    yield enhanced("window_of_the_last", [of(12), of(12), of(12, window=b)])
    yield enhanced(
        "slopes",
        [of(12, slope=s, intercept=i, window=a) for s, i in ((2, -10), (0.5, 100), (-1, 4000))],
    )
    yield enhanced(
        "slope_of_the_second",
        [of(12, window=a), of(12, slope=2, intercept=1, window=b), of(12, window=c)],
    )
    yield enhanced("shared", [of(12), of(12), of(12)], of(12, window=b, slope=2, intercept=0))
    yield enhanced("shared_but_one", [of(12), of(12, window=a), of(12)], of(12, window=c))
    yield enhanced("implicit", [of(12, window=w) for w in (a, b)], syntax=IMPLICIT)
    yield enhanced("big_endian", [of(12, window=w) for w in (a, b)], syntax=BIG)
    yield make(
        "frames",
        "plain",
        [picture(280 + n, 0, 4095) for n in range(3)],
        of(12, window=(2000, 1000)),
    )
    yield make(
        "frames",
        "colour",
        [picture(284 + n, 0, 255, samples=3) for n in range(2)],
        of(8, photometric="RGB"),
        planar=1,
    )

"""Columns of FlashCam's tables, as LEGEND's software names and describes them."""

from __future__ import annotations

from typing import Any

__all__ = ["CONFIG_COLUMNS", "EVENT_COLUMNS", "HEADER_COLUMNS", "PER_TRACE", "STATUS_COLUMNS"]

_VECTORS = "array<1>{array<1>{real}}"
_EQUAL = "array_of_equalsized_arrays<1,1>{real}"

CONFIG_COLUMNS: dict[str, dict[str, Any]] = {
    "adcbits": {"dtype": "int32", "description": "bit range of the adc channels"},
    "adccards": {"dtype": "int32", "description": "number of attached fadccards"},
    "blprecision": {"dtype": "int32", "description": "precision of the fpga baseline"},
    "gps": {"dtype": "int32", "description": "gps mode (0: not used, >0: external pps and 10MHz)"},
    "mastercards": {"dtype": "int32", "description": "number of attached mastercards"},
    "nadcs": {"dtype": "int32", "description": "number of adc channels"},
    "nsamples": {"dtype": "int32", "description": "samples per channel"},
    "ntriggers": {"dtype": "int32", "description": "number of triggertraces"},
    "packet_id": {"dtype": "uint32", "description": "The index of this decoded packet in the file."},
    "streamid": {"dtype": "int32", "description": "id of stream"},
    "sumlength": {"dtype": "int32", "description": "length of the fpga integrator"},
    "tracemap": {"dtype": "uint32", "datatype": _VECTORS, "description": "", "length": 2400},
    "triggercards": {"dtype": "int32", "description": "number of attached triggercards"},
}

EVENT_COLUMNS: dict[str, dict[str, Any]] = {
    "abs_delta_mu_usec": {"dtype": "int32", "description": "The absolute value of `delta_mu_usec`."},
    "baseline": {"dtype": "uint16", "description": "The baseline determined by the FPGA baseline algorithm."},
    "board_id": {
        "dtype": "uint16",
        "description": "The MAC address of the FlashCam board which recorded this event.",
    },
    "channel": {"dtype": "uint16", "description": "The index of each read out channel in this stream."},
    "daqenergy": {
        "dtype": "uint16",
        "description": (
            "The shaped pulse peak height above the trigger threshold for 62.5MHz mode. The waveform "
            "integral over `sumlength` samples in 250MHz mode."
        ),
    },
    "deadinterval_nsec": {
        "dtype": "int64",
        "description": (
            "The interval the board was dead between previous event and this event in nanoseconds with "
            "4ns precision (due to the internal clock speed of 250MHz)."
        ),
        "units": "ns",
    },
    "deadtime": {
        "dtype": "float64",
        "description": (
            "The accumulated time for which the hardware buffers were full (dead). Recorded per channel."
        ),
        "units": "s",
    },
    "delta_mu_usec": {
        "dtype": "int32",
        "description": "The clock offset in microseconds between fpga and server for aligned clocks.",
    },
    "dr_ch_idx": {
        "dtype": "uint16",
        "description": (
            "The start channel index of channels which are affected by the recorded dead interval."
        ),
    },
    "dr_ch_len": {
        "dtype": "uint16",
        "description": (
            "The number of channels which are affected by the dead interval, starts from `dr_ch_idx`. "
            "Can be larger than `num_traces`."
        ),
    },
    "dr_maxticks": {
        "dtype": "int32",
        "description": (
            "The ticks counter value on PPS when the hardware buffers were freed, before this event. "
            "Only changes if a new value is acquired."
        ),
    },
    "dr_start_pps": {
        "dtype": "int32",
        "description": (
            "The PPS counter value when the hardware buffers were full (dead), before this event. Only "
            "changes if a new value is acquired."
        ),
    },
    "dr_start_ticks": {
        "dtype": "int32",
        "description": (
            "The ticks counter value when the hardware buffers were full (dead), before this event. "
            "Only changes if a new value is acquired."
        ),
    },
    "dr_stop_pps": {
        "dtype": "int32",
        "description": (
            "The PPS counter value when the hardware buffers are free (life) again, before this event. "
            "Only changes if a new value is acquired."
        ),
    },
    "dr_stop_ticks": {
        "dtype": "int32",
        "description": (
            "The ticks counter value when the hardware buffers are free (life) again, before this "
            "event. Only changes if a new value is acquired."
        ),
    },
    "event_type": {
        "dtype": "int32",
        "description": (
            "Is 1 for shared trigger/readout, or 11 in true sparse mode where ADC boards trigger "
            "independently."
        ),
    },
    "eventnumber": {
        "dtype": "int32",
        "description": (
            "Counts triggered events. Fetched from the master board in non-sparse, or from the ADC "
            "board in sparse."
        ),
    },
    "fc_input": {
        "dtype": "uint16",
        "description": (
            "The per-board ADC channel. Corresponds to the input connector in 62.5MHz mode or the input"
            " wire in 250MHz mode."
        ),
    },
    "fcid": {"dtype": "uint16", "description": "The ID of this data stream."},
    "lifetime": {
        "dtype": "float64",
        "description": (
            "The accumulated lifetime since trigger enable, for which the hardware was not dead. "
            "Recorded per channel."
        ),
        "units": "s",
    },
    "mu_offset_sec": {
        "dtype": "int32",
        "description": "The seconds between server (unix) and fpga time. See `man 2 gettimeofday`.",
    },
    "mu_offset_usec": {
        "dtype": "int32",
        "description": (
            "The microseconds between server (unix second) and fpga time (pps). See `man 2 gettimeofday`"
        ),
    },
    "numtraces": {"dtype": "int32"},
    "packet_id": {"dtype": "uint32", "description": "The index of this decoded packet in the file."},
    "runtime": {
        "dtype": "float64",
        "description": "Time since trigger enable of this run. Recorded per channel.",
        "units": "s",
    },
    "timestamp": {
        "dtype": "float64",
        "description": "Time since epoch (unix time) for this event.",
        "units": "s",
    },
    "to_master_sec": {
        "dtype": "int32",
        "description": (
            "The timeoffset between server (unix) and fpga clocks, only valid when a gps clock/time "
            "server is used and the offset to epoch needs to be adjusted."
        ),
    },
    "to_start_sec": {
        "dtype": "int32",
        "description": "The seconds of the start time of the run / trigger enable.",
    },
    "to_start_usec": {
        "dtype": "int32",
        "description": "The microseconds of the start time of the run / trigger enable.",
    },
    "ts_maxticks": {
        "dtype": "int32",
        "description": "The clock ticks counter value when the last PPS arrived.",
    },
    "ts_pps": {"dtype": "int32", "description": "The pulse-per-second (PPS) counter since DAQ reset."},
    "ts_ticks": {"dtype": "int32", "description": "The clock ticks counter (250MHz) since last PPS."},
}

STATUS_COLUMNS: dict[str, dict[str, Any]] = {
    "adc_temps": {
        "dtype": "int32",
        "datatype": _VECTORS,
        "description": (
            "If the card has adc daughter (piggy) boards mounted, each daughter has a temperature sensor."
        ),
        "units": "mC",
    },
    "cti_links": {
        "dtype": "uint32",
        "datatype": _VECTORS,
        "description": "CTI debugging values, for experts only.",
    },
    "eventnumber": {"dtype": "uint32", "description": "The eventcounter when the status was requested."},
    "fpga_start_time": {"dtype": "float64", "description": "The start time of the run.", "units": "s"},
    "fpga_time": {
        "dtype": "float32",
        "description": "The clock in the fpga of the highest-level card.",
        "units": "s",
    },
    "fpga_time_nsec": {
        "dtype": "uint32",
        "description": "The clock in the fpga of the highest-level card.",
        "units": "ns",
    },
    "id": {
        "dtype": "uint32",
        "description": "The card id (reqid) when checking the status. Don't confuse with the card address.",
    },
    "link_states": {
        "dtype": "uint32",
        "datatype": _VECTORS,
        "description": "Trigger link debugging values, for experts only.",
    },
    "mb_current": {"dtype": "int32", "description": "The current draw of the motherboard.", "units": "mA"},
    "mb_humidity": {
        "dtype": "int32",
        "description": "The humidity in permille measured on the motherboard.",
        "units": "o/oo",
    },
    "mb_temps": {
        "dtype": "int32",
        "datatype": _EQUAL,
        "length": 5,
        "description": "The temperatures measured by sensors on the motherboard.",
        "units": "mC",
    },
    "mb_voltages": {
        "dtype": "int32",
        "datatype": _EQUAL,
        "length": 6,
        "description": "The supply voltages of the motherboard.",
        "units": "mV",
    },
    "n_cti_errors": {"dtype": "uint32", "description": "The sum of all CTI connection errors."},
    "n_environment_errors": {"dtype": "uint32", "description": "The sum of all environment sensor errors."},
    "n_link_errors": {"dtype": "uint32", "description": "The sum of all trigger link errors."},
    "n_other_errors": {
        "dtype": "uint32",
        "datatype": _EQUAL,
        "length": 5,
        "description": "The sum of other errors.",
    },
    "n_total_errors": {"dtype": "uint32", "description": "The sum of all error counter of all cards."},
    "packet_id": {"dtype": "uint32", "description": "Packet index in file."},
    "server_time": {
        "dtype": "float64",
        "description": "The server time when the status was checked.",
        "units": "s",
    },
    "status": {"dtype": "bool", "description": "True: Ok, False: Errors occurred, check card-wise status."},
}

PER_TRACE = (
    "baseline",
    "board_id",
    "daqenergy",
    "deadinterval_nsec",
    "deadtime",
    "fc_input",
    "lifetime",
    "runtime",
)  # columns that hold a vector in the table of event headers

HEADER_COLUMNS: dict[str, dict[str, Any]] = {
    name: {**facts, "datatype": _VECTORS} if name in PER_TRACE else facts
    for name, facts in EVENT_COLUMNS.items()
    if name != "channel"
}
HEADER_COLUMNS["tracelist"] = {
    "dtype": "uint16",
    "datatype": _VECTORS,
    "description": "The number of read out adc channels in this event.",
}

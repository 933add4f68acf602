/** The shapes of the API, "Performance": its generated types, under the console's own names. */
import type * as api from "anywire/api";

export type Disk = api.Disk;
export type DeliveryFigures = api.DeliveryFigures;
export type Sample = api.Sample;
export type HostSample = api.HostSample;
export type Host = api.Host;
export type Rows = api.HistoryRows;
export type Rule = api.Rule;
export type Alert = api.Alert;
/** From `cursor` the channel goes on. */
export type Alerts = api.Alerts;

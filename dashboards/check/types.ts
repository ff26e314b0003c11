// What a dashboard's JSON may be, out of Grafana's own types.

import type { AnnotationQuery, Dashboard, DataQuery, FieldConfigSource, Panel, RowPanel } from "@grafana/schema";
import type * as bargauge from "@grafana/schema/dist/esm/raw/composable/bargauge/panelcfg/x/BarGaugePanelCfg_types.gen";
import type * as gauge from "@grafana/schema/dist/esm/raw/composable/gauge/panelcfg/x/GaugePanelCfg_types.gen";
import type * as heatmap from "@grafana/schema/dist/esm/raw/composable/heatmap/panelcfg/x/HeatmapPanelCfg_types.gen";
import type * as stat from "@grafana/schema/dist/esm/raw/composable/stat/panelcfg/x/StatPanelCfg_types.gen";
import type * as timeline from "@grafana/schema/dist/esm/raw/composable/statetimeline/panelcfg/x/StateTimelinePanelCfg_types.gen";
import type * as table from "@grafana/schema/dist/esm/raw/composable/table/panelcfg/x/TablePanelCfg_types.gen";
import type * as timeseries from "@grafana/schema/dist/esm/raw/composable/timeseries/panelcfg/x/TimeSeriesPanelCfg_types.gen";

// JSON has no enums: their members are written as what they stand for.
type Json<T> = unknown extends T
  ? T
  : T extends string
    ? `${T}`
    : T extends number
      ? `${T}` extends `${infer N extends number}`
        ? N
        : number
      : T extends boolean | null | undefined
        ? T
        : T extends (infer E)[]
          ? Json<E>[]
          : T extends object
            ? { [K in keyof T]: Json<T[K]> }
            : T;

// Options that are left out have defaults.
type Some<T> = T extends (infer E)[] ? Some<E>[] : T extends object ? { [K in keyof T]?: Some<T[K]> } : T;

// A query as the Prometheus data source takes it. Its type is not part of @grafana/schema:
// https://github.com/grafana/grafana/blob/main/packages/grafana-prometheus/src/dataquery.ts
export interface PromQuery extends DataQuery {
  expr: string;
  legendFormat?: string;
  format?: "time_series" | "table" | "heatmap";
  instant?: boolean;
  range?: boolean;
  exemplar?: boolean;
  interval?: string;
  editorMode?: "code" | "builder";
}

type PanelOf<Kind extends string, Options, Custom> = Json<
  Omit<Panel<Record<string, unknown>>, "type" | "options" | "fieldConfig" | "targets">
> & {
  type: Kind;
  options: Json<Some<Options>>;
  fieldConfig: Json<Omit<FieldConfigSource, "defaults">> & {
    defaults: Json<Omit<FieldConfigSource["defaults"], "custom">> & { custom?: Json<Some<Custom>> };
  };
  targets: Json<PromQuery>[];
};

export type BarGauge = PanelOf<"bargauge", bargauge.Options, never>;
export type Gauge = PanelOf<"gauge", gauge.Options, never>;
export type Heatmap = PanelOf<"heatmap", heatmap.Options, heatmap.FieldConfig>;
export type Row = Json<RowPanel>;
export type Stat = PanelOf<"stat", stat.Options, never>;
export type StateTimeline = PanelOf<"state-timeline", timeline.Options, timeline.FieldConfig>;
export type Table = PanelOf<"table", table.Options, table.FieldConfig>;
export type TimeSeries = PanelOf<"timeseries", timeseries.Options, timeseries.FieldConfig>;

// How the Prometheus data source makes annotations of samples. Not part of @grafana/schema either.
type PromAnnotation = Json<AnnotationQuery<PromQuery>> & {
  titleFormat?: string;
  textFormat?: string;
  tagKeys?: string;
  useValueForTime?: boolean;
};

// Grafana's own, of what is annotated by hand or through its API.
type GrafanaAnnotation = Json<Omit<AnnotationQuery, "target">> & {
  builtIn?: 1;
  target?: { type: "dashboard" | "tags"; limit?: number; matchAny?: boolean; tags?: string[] };
};

export type DashboardJson = Json<Omit<Dashboard, "panels" | "annotations">> & {
  uid: string;
  title: string;
  tags: string[];
  annotations: { list: (PromAnnotation | GrafanaAnnotation)[] };
  panels: (Row | BarGauge | Gauge | Heatmap | Stat | StateTimeline | Table | TimeSeries)[];
};

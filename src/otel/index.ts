/** `catga/otel`: spans for OpenTelemetry. */
export { openTelemetry, type OpenTelemetryOptions } from "./open-telemetry.ts";

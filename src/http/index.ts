/** catga/http: the edge, and what binds it to a port. What is not named here is not public. */
export type { Access, Authenticate, Authorize, GatewayCluster, Identity } from "./edge.ts";
export type { StreamLimits } from "./event-stream.ts";
export { gateway, type GatewayOptions } from "./gateway.ts";
export { listen, type Listening, type ListenOptions, type Servable } from "./listen.ts";
export type { OpenApiInfo } from "./openapi.ts";
export type { Problem } from "./problem.ts";
export type { Exposable } from "./target.ts";

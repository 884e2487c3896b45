/** catga/http: the edge, and what binds it to a port. What is not named here is not public. */
export { bearer, type VerifyToken } from "./auth.ts";
export type { Access, Authenticate, Authorize, GatewayCluster, Identity } from "./edge.ts";
export { gateway, type GatewayOptions } from "./gateway.ts";
export type { Apps, Servable } from "./apps.ts";
export { listen, type Listening, type ListenOptions } from "./listen.ts";
export type { ListenLimits } from "./servers.ts";
export type { Upgrade } from "./socket.ts";
export type { GatewayLimits } from "./limits.ts";
export type { OpenApiInfo } from "./openapi.ts";
export type { CorsOptions } from "./origins.ts";
export type { Problem } from "./problem.ts";
export type { Exposable } from "./target.ts";

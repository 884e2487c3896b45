/** catga/http: the edge, and what binds it to a port. What is not named here is not public. */
export { gateway, type GatewayCluster, type GatewayOptions } from "./gateway.ts";
export { listen, type Listening, type ListenOptions, type Servable } from "./listen.ts";
export type { Problem } from "./problem.ts";

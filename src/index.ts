/** catga: virtual entities on a cluster. The door; what is not named here is not public. */
export { Cluster, type ClusterOf } from "./api/cluster.ts";
export type { BaseContext, CallOptions, CommandContext, ContextOf } from "./api/context.ts";
export type { DeepReadonly, Handlers, QueryContext, Ref, Target } from "./api/context.ts";
export { type AnyEntity, type Contract, defineContract } from "./api/entity.ts";
export { defineEntity, type Entity, type EntityOptions } from "./api/entity.ts";
export { type AnyDef, command, type CommonOptions, type Def, type Kind } from "./api/messages.ts";
export { type MaybePromise, type MessageIn, type Messages, type Payload } from "./api/messages.ts";
export { type PayloadOf, query, type ReplyOf, type Schema } from "./api/messages.ts";
export type { ClusterOptions, Transport, TransportUrl } from "./api/options.ts";
export type { Duration } from "./base/duration.ts";
export { CatgaError, type ErrorCode, type ErrorDetails } from "./base/errors.ts";
export { type Executed, isCatgaError } from "./base/errors.ts";
export type { Logger } from "./base/logger.ts";
export type { MembershipChange, Plan } from "./ownership/plan.ts";
export type { ClusterEvents } from "./runtime/events.ts";
export type { PassivationReason } from "./runtime/definition.ts";
export type { Stored, StoredReminder } from "./runtime/stored.ts";
export type { NodeInfo, Ownership } from "./runtime/survey.ts";

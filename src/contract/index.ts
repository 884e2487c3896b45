/**
 * catga/contract: what a client needs to declare, without the code that runs it: everything behind
 * this door loads in a browser as it is. The names are those of `catga`.
 */
export { type AnyEntity, type Contract, defineContract, type Entity } from "../api/entity.ts";
export { type AnyDef, command, type CommonOptions, type Def, type Kind } from "../api/messages.ts";
export { type Message, type Messages, type Named, type Payload, query } from "../api/messages.ts";
export type { PayloadOf, ReplyOf, Schema } from "../api/messages.ts";
export { defineCommand, defineEvent, defineQuery, invalidate } from "../api/named.ts";
export type { CommandOptions, EventOptions, QueryOptions } from "../api/named.ts";

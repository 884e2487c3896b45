/** catga/client: the typed client of the edge. What is not named here is not public. */
export { type Client, type ClientOptions, type ClientRef, createClient } from "./client.ts";
export { CatgaClientError, type ClientErrorCode, isClientError } from "./error.ts";
export { type AnyEvent, isEvent, MISSED, type SomeEvent, type Stream } from "./stream.ts";
export type { StreamOptions } from "./stream.ts";

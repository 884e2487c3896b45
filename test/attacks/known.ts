/** What attackers must not learn, and what honest callers know. */

/** Two who may log in, with their tokens. */
export const TOKENS = { ada: "adas-token-0123456789", bob: "bobs-token-0123456789" } as const;

/** What only the inside of the target knows. */
export const SECRET = "hunter2";

/** The only site whose pages may act. */
export const APP = "https://app.example";

/** How many event streams the target serves at once. */
export const STREAMS = 1_000;

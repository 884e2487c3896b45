/** Who asks. */
import type { Context, MiddlewareHandler } from "hono";
import { CatgaError } from "../index.ts";
import type { Authenticate, Told } from "./edge.ts";

/**
 * Answers nobody whom `auth` does not know.
 *
 * The names of the two middlewares tell `listen` whether somebody has to log in.
 */
export function authenticatedBy(auth: Authenticate | undefined): MiddlewareHandler<Told> {
  if (auth === undefined) {
    return function unauthenticated(_c: Context<Told>, next: () => Promise<void>) {
      return next();
    };
  }
  return async function authenticated(c: Context<Told>, next: () => Promise<void>) {
    const identity = await auth(c.req.raw);
    if (identity === undefined) {
      c.header("WWW-Authenticate", "Bearer");
      throw new CatgaError("UNAUTHENTICATED", { reason: "no or wrong credentials" });
    }
    c.set("identity", identity);
    await next();
  };
}

/** What is served on one port: an app, or several, each below a path of its own. */
import type { Hono } from "hono";
import { inspectRoutes } from "hono/dev";

/** What can be served: a Hono app, or anything that answers requests. */
export interface Servable {
  fetch(request: Request, env?: object): Response | Promise<Response>;
}

/**
 * Several apps by the paths they are below: `{ "/": shop, "/admin": gateway }`. The longest that
 * fits counts, whole segments of it; the app sees what is left of the path, as with Hono's `mount`.
 */
export type Apps = Readonly<Record<string, Servable>>;

const PATH = /^(?:\/[\w.~-]+)+$/;

/** Serves a single app as it is. @throws {TypeError} for what cannot be served */
export function servableOf(given: Servable | Apps): Servable {
  const apps = appsOf(given);
  const single = apps.length === 1 && apps[0]![0] === "/";
  if (single) return apps[0]![1];
  apps.sort(([one], [other]) => other.length - one.length);
  return {
    fetch(request, env) {
      // With an odd `Host`, Bun has no URL.
      if (!URL.canParse(request.url)) return new Response("Bad request", { status: 400 });
      const { pathname } = new URL(request.url);
      for (const [path, app] of apps) {
        if (path === "/") return app.fetch(request, env);
        if (!pathname.startsWith(path)) continue;
        const rest = pathname.slice(path.length);
        if (rest === "" || rest[0] === "/") return app.fetch(...below(path, request, env));
      }
      return new Response("Not found", { status: 404 });
    },
  };
}

/** True when in each app there is a gateway with `auth`, and none without. */
export function asksWhoItIs(given: Servable | Apps): boolean {
  return appsOf(given).every(([, app]) => {
    const routes = "routes" in app ? inspectRoutes(app as Hono) : [];
    const names = new Set(routes.map(({ name }) => name));
    return names.has("authenticated") && !names.has("unauthenticated");
  });
}

function appsOf(given: Servable | Apps): [path: string, app: Servable][] {
  if (typeof given !== "object" || given === null) throw new TypeError("Cannot serve no app");
  if (typeof given.fetch === "function") return [["/", given as Servable]];
  const apps = Object.entries(given as Apps);
  if (apps.length === 0) throw new TypeError("Cannot serve no app");
  for (const [path, app] of apps) {
    if (path !== "/" && (!PATH.test(path) || new URL(path, "http://a").pathname !== path)) {
      const hint = 'write "/" or "/admin": letters, digits, "-", "_", "." and "~"';
      throw new TypeError(`Cannot serve an app below "${path}": ${hint}`);
    }
    if (typeof app?.fetch !== "function") {
      throw new TypeError(`Cannot serve what is below "${path}": it has no fetch()`);
    }
  }
  return apps;
}

/** The request as the app below `path` sees it. */
function below(
  path: string,
  request: Request,
  env: object | undefined,
): [Request, object | undefined] {
  const url = new URL(request.url);
  url.pathname = url.pathname.slice(path.length) || "/";
  const { method, headers, body, signal } = request;
  const seen = new Request(url, { method, headers, body, signal, duplex: "half" } as RequestInit);
  // Bun upgrades a request only if it is the one that came.
  const { server } = (env ?? {}) as { readonly server?: Upgrading };
  if (server === undefined) return [seen, env];
  const upgrade: Upgrading["upgrade"] = (_, options) => server.upgrade(request, options);
  return [seen, { ...env, server: { ...server, upgrade } }];
}

interface Upgrading {
  upgrade(request: Request, options?: object): boolean;
}

/** Packages that need not be installed. */
import { CatgaError } from "./errors.ts";

/**
 * What `load` resolves to; `packages` is what to install when it cannot be found.
 *
 * @throws {CatgaError} MISSING_PACKAGE
 */
export async function loadOptional<T>(packages: string, load: () => Promise<T>): Promise<T> {
  try {
    return await load();
  } catch (error) {
    if ((error as { readonly code?: unknown }).code !== "ERR_MODULE_NOT_FOUND") throw error;
    const details = { package: packages, purpose: "reach the broker" };
    throw new CatgaError("MISSING_PACKAGE", details, { cause: error });
  }
}

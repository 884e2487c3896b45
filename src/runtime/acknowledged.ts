/** A message that wants to know when the other side has accepted it. */
export interface Acknowledged {
  /** The frame that carries it. */
  frame: number;
  accepted(by: { readonly incarnation: string }): void;
}

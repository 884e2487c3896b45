/** Placeholder. */
export interface Candidate {
  readonly node: string;
}

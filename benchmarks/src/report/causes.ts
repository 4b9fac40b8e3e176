/**
 * Why a target is missed, by its id, kept by hand: what a profile or an experiment has shown, and what
 * would change it. A miss without a cause here says in the report that nobody has found it yet.
 */
export const CAUSES: Readonly<Record<string, string>> = {}

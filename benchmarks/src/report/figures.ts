/** What a run found, as it is kept in JSON: the report is made of this, and of nothing else. */
import type { ContenderName } from '../contender-names.js'
import type { Load, Measurement } from '../loads/load.js'
import type { PartName } from '../plan.js'

export interface Machine {
  readonly cores: number
  readonly model: string
  readonly memoryGiB: number
  readonly system: string
  readonly nodeVersion: string
}

export type Participant = { readonly contender: ContenderName; readonly name: string } & (
  | { readonly settings: string }
  | { readonly absent: string }
)

/** A load of one store, a measurement for each round; or why there is none. */
export interface CellFigures {
  readonly contender: ContenderName
  readonly load: Load
  readonly rounds: readonly Measurement[]
  readonly missing?: string
}

/** What is no load of calls, with a value for each time that it was measured. */
export interface FactFigures {
  readonly contender: ContenderName
  readonly fact: Fact
  readonly keys: number
  readonly values: readonly number[]
  readonly missing?: string
}

export type Fact = 'bytes a key' | 'ms until it answers after kill -9'

export interface PartFigures {
  readonly part: PartName
  /** When it ended, in ISO 8601. */
  readonly at: string
  readonly seconds: number
  /** Of the repository that was measured, where that is known. */
  readonly commit?: string
  readonly rounds: number
  readonly participants: readonly Participant[]
  readonly cells: readonly CellFigures[]
  readonly facts: readonly FactFigures[]
}

export interface Figures {
  readonly machine: Machine
  readonly parts: readonly PartFigures[]
}

/** A part that was measured again takes the place of what was there. */
export function withPart(figures: Figures, part: PartFigures): Figures {
  const others = figures.parts.filter((other) => other.part !== part.part)
  return { ...figures, parts: [...others, part] }
}

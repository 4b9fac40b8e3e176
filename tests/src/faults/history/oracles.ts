/**
 * What can be said of a history without a search: cheaper, and by other means than the checker, so
 * that one may find what the other overlooks. The last read of each key comes after everything else.
 */
import type { Found, Operation, Value } from './operation.js'
import { isOpen } from './operation.js'

export interface OracleFindings {
  /** Acknowledged writes that are neither there nor replaced by a later one (P1). */
  readonly lost: readonly string[]
  /** Increments that count twice, or more than was ever asked for (P4). */
  readonly duplicates: readonly string[]
  /** Versions that name two values of a key (P2). */
  readonly versions: readonly string[]
}

interface Facts {
  readonly key: string
  /** Nothing may have ended what was written. */
  isNeverRemoved: boolean
  onlyCounts: boolean
  newest: { readonly version: number; readonly value: Value | undefined } | undefined
  readonly byVersion: Map<number, Value>
  readonly results: Value[]
  acknowledgedSum: number
  openSum: number
}

export function judge(
  history: readonly Operation[],
  last: ReadonlyMap<string, Found | undefined>,
): OracleFindings {
  const facts = new Map<string, Facts>()
  const versions: string[] = []
  for (const operation of history) collect(operation, facts, versions)
  const lost: string[] = []
  const duplicates: string[] = []
  for (const fact of facts.values()) {
    if (!last.has(fact.key)) continue
    lost.push(...lostIn(fact, last.get(fact.key)))
    duplicates.push(...duplicatesIn(fact, last.get(fact.key)))
  }
  return { lost, duplicates, versions }
}

function collect(operation: Operation, facts: Map<string, Facts>, versions: string[]): void {
  const { action, answer } = operation
  const told = (key: string, value: Value, version: number): void => {
    const { byVersion } = factOf(facts, key)
    const known = byVersion.get(version)
    if (known !== undefined && known !== value) {
      versions.push(`${key}: version ${version} is of ${known} and of ${value}`)
    }
    byVersion.set(version, value)
  }
  const wrote = (key: string, value: Value | undefined): void => {
    if (answer?.type !== 'written') return
    const fact = factOf(facts, key)
    if (value !== undefined) told(key, value, answer.version)
    if (answer.version > (fact.newest?.version ?? 0))
      fact.newest = { version: answer.version, value }
  }
  switch (action.type) {
    case 'read':
      if (answer?.type === 'read' && answer.found?.version !== undefined) {
        told(action.key, answer.found.value, answer.found.version)
      }
      return
    case 'set':
      factOf(facts, action.key).onlyCounts = false
      wrote(action.key, action.value)
      return
    case 'atomic':
      for (const { key, value } of action.sets) {
        factOf(facts, key).onlyCounts = false
        wrote(key, value)
      }
      return
    case 'delete':
    case 'expire':
      factOf(facts, action.key).isNeverRemoved = false
      return
    case 'increment': {
      const fact = factOf(facts, action.key)
      if (isOpen(operation)) fact.openSum += action.by
      else fact.acknowledgedSum += action.by
      if (answer?.type !== 'written' || answer.value === undefined) return
      fact.results.push(answer.value)
      wrote(action.key, answer.value)
    }
  }
}

function factOf(facts: Map<string, Facts>, key: string): Facts {
  const known = facts.get(key)
  if (known !== undefined) return known
  const fact: Facts = {
    key,
    isNeverRemoved: true,
    onlyCounts: true,
    newest: undefined,
    byVersion: new Map(),
    results: [],
    acknowledgedSum: 0,
    openSum: 0,
  }
  facts.set(key, fact)
  return fact
}

function lostIn({ key, isNeverRemoved, newest }: Facts, found: Found | undefined): string[] {
  if (newest === undefined) return []
  const { version, value } = newest
  if (found === undefined) {
    return isNeverRemoved ? [`${key}: nothing stands where version ${version} was written`] : []
  }
  const stands = found.version ?? 0
  if (stands > version || (stands === version && found.value === value)) return []
  // What was deleted in between may have been written anew only with a larger version, too.
  return [`${key}: version ${stands} stands where version ${version} was written`]
}

function duplicatesIn(fact: Facts, found: Found | undefined): string[] {
  const { key, results, onlyCounts, isNeverRemoved, acknowledgedSum, openSum } = fact
  if (!onlyCounts || !isNeverRemoved) return []
  const problems: string[] = []
  if (new Set(results).size < results.length) problems.push(`${key}: a result came twice`)
  const value = Number(found?.value ?? 0)
  if (value > acknowledgedSum + openSum) {
    problems.push(`${key}: counted to ${value}, at most ${acknowledgedSum + openSum} was asked for`)
  }
  return problems
}

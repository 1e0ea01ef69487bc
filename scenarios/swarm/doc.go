// Package swarm owns the random scenarios that are thrown at the whole
// simulator, and the judgement of what comes out: which verdicts are failures
// and which inconclusive ones are explained. It never looks into the cluster; it
// knows scenarios, outcomes and nothing between.
package swarm

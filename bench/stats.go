package main

import (
	"math"
	"slices"
)

// quantile is the q-th quantile of samples, between neighbours by a straight
// line. There must be a sample.
func quantile(samples []float64, q float64) float64 {
	s := slices.Sorted(slices.Values(samples))
	at := q * float64(len(s)-1)
	i := int(at)
	if i+1 >= len(s) {
		return s[len(s)-1]
	}
	return s[i] + (at-float64(i))*(s[i+1]-s[i])
}

func median(samples []float64) float64 { return quantile(samples, 0.5) }

// spread is the distance of the quartiles, in parts of the median.
func spread(samples []float64) float64 {
	return (quantile(samples, 0.75) - quantile(samples, 0.25)) / max(median(samples), math.SmallestNonzeroFloat64)
}

// geometricMean is that of ratios; NaN if there is none.
func geometricMean(ratios []float64) float64 {
	logs := 0.0
	for _, r := range ratios {
		logs += math.Log(r)
	}
	return math.Exp(logs / float64(len(ratios)))
}

// withoutOutliers leaves out ratios whose logarithms lie outside of Tukey's
// fences: more than one and a half times the distance of the quartiles away from
// them.
func withoutOutliers(ratios []float64) []float64 {
	if len(ratios) == 0 {
		return nil
	}
	logs := make([]float64, len(ratios))
	for i, r := range ratios {
		logs[i] = math.Log(r)
	}
	low, high := quantile(logs, 0.25), quantile(logs, 0.75)
	fence := 1.5 * (high - low)
	var kept []float64
	for i, r := range ratios {
		if logs[i] >= low-fence && logs[i] <= high+fence {
			kept = append(kept, r)
		}
	}
	return kept
}

package wasm

import "strings"

// Features is a set of extensions of the first version of WebAssembly.
type Features uint64

// The features. Their names are those of the proposals that added them.
const (
	FeatureMutableGlobals Features = 1 << iota
	FeatureSignExtension
	FeatureSaturatingFloatToInt
	FeatureMultiValue
	FeatureBulkMemory
	FeatureReferenceTypes // also several tables
	FeatureSIMD
	FeatureExtendedConst
	FeatureTailCall
	FeatureFunctionReferences
	FeatureGC
	FeatureMultiMemory
	FeatureMemory64
	FeatureRelaxedSIMD
	FeatureExceptions
	FeatureThreads
	FeatureWideArithmetic
	FeatureCustomPageSizes
	numFeatures = iota
)

// Feature sets by version of the specification.
const (
	Features1 Features = FeatureMutableGlobals
	Features2          = Features1 | FeatureSignExtension | FeatureSaturatingFloatToInt | FeatureMultiValue |
		FeatureBulkMemory | FeatureReferenceTypes | FeatureSIMD
	Features3 = Features2 | FeatureExtendedConst | FeatureTailCall | FeatureFunctionReferences | FeatureGC |
		FeatureMultiMemory | FeatureMemory64 | FeatureRelaxedSIMD | FeatureExceptions
	// FeaturesAll is everything that this package decodes and validates.
	FeaturesAll = Features3 | FeatureThreads | FeatureWideArithmetic | FeatureCustomPageSizes
)

var featureNames = [numFeatures]string{
	"mutable-globals", "sign-extension", "saturating-float-to-int", "multi-value", "bulk-memory",
	"reference-types", "simd", "extended-const", "tail-call", "function-references", "gc",
	"multi-memory", "memory64", "relaxed-simd", "exceptions", "threads", "wide-arithmetic",
	"custom-page-sizes",
}

// Has reports whether all features of x are in f.
func (f Features) Has(x Features) bool { return f&x == x }

// String lists the names of the features, with commas.
func (f Features) String() string {
	var names []string
	for i, n := range featureNames {
		if f&(1<<i) != 0 {
			names = append(names, n)
		}
	}
	return strings.Join(names, ",")
}

// LookupFeature finds a feature by its name.
func LookupFeature(name string) (Features, bool) {
	for i, n := range featureNames {
		if n == name {
			return 1 << i, true
		}
	}
	return 0, false
}

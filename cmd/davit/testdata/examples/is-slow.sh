#!/bin/sh
grep -q udiv "$1"

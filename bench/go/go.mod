module caesura/bench

go 1.19
